import { setTimeout as delay } from 'node:timers/promises';
import type { PlanLimits, Rotation } from '../../../../src/rotation/facts.ts';
import { type RealAzure, type RotationState, rotationNamed } from './azure.ts';
import { type Consumers, startConsumers } from './consumers.ts';
import type { RotatorOptions, StopAt } from './messages.ts';
import { type RotatorProcess, startRotator } from './rotator.ts';

export interface RealRun {
  /** The calls of the first process. */
  calls: readonly string[];
  stoppedAt: string | undefined;
  /** Sign-ins with what GET returns, and with previous secrets. */
  signIns: { current: number; previous: number };
  violation: string | undefined;
}

const OVERLAP_SECONDS = 5;
const LIMITS: PlanLimits = { proofs: 3, spreadSeconds: 1.5, orphanGraceSeconds: 8 };
/** After everything has waited that must: several looks, of a process that may have to wait for a processor. */
const SETTLE_SECONDS = 6;
const LONGEST_STOP_SECONDS = 60;
/** A lost answer is awaited for a minute; then comes a whole rotation. */
const LONGEST_RUN_SECONDS = 150;
const POLL_MS = 500;

/** One rotation of its own for real: killed at `stopAt` (never, without it), gone on with by a fresh process. */
export async function runForReal(azure: RealAzure, name: string, stopAt: StopAt | undefined): Promise<RealRun> {
  const { sandbox } = azure;
  const rotation = rotationNamed(name, OVERLAP_SECONDS);
  const promoted = await azure.prepare(rotation);
  const { entra, graph, keyVault, tables } = sandbox.endpoints;
  const options: RotatorOptions = { urls: { entra, graph, keyVault, tables }, rotation, limits: LIMITS };
  const consumers = startConsumers(sandbox, rotation);
  const first = startRotator(sandbox, { ...options, asked: { promoted }, ...(stopAt && { stopAt }) });
  let last = first;
  try {
    const stopped = stopAt && (await killAtPoint(first));
    if (stopAt) last = startRotator(sandbox, options);
    const violation = stopped ?? (await untilSettled(azure, rotation, last, consumers));
    return { calls: first.calls, stoppedAt: first.stoppedAt(), signIns: consumers.signIns(), violation };
  } finally {
    await Promise.all([first.kill(), last.kill(), consumers.stop()]);
  }
}

/** Waits until the process has come to its point, and kills it. Gives why that did not come about. */
async function killAtPoint(rotator: RotatorProcess): Promise<string | undefined> {
  const deadline = Date.now() + LONGEST_STOP_SECONDS * 1000;
  while (rotator.stoppedAt() === undefined) {
    if (rotator.failure() !== undefined) return rotator.failure();
    if (Date.now() > deadline) return `the crash point was never reached; calls: ${rotator.calls.length}`;
    await delay(20);
  }
  const signal = await rotator.kill();
  return signal === 'SIGKILL' ? undefined : `the process ended by ${signal} instead of SIGKILL`;
}

async function untilSettled(
  azure: RealAzure,
  rotation: Rotation,
  rotator: RotatorProcess,
  consumers: Consumers,
): Promise<string | undefined> {
  const begunAt = Date.now();
  const deadline = begunAt + LONGEST_RUN_SECONDS * 1000;
  const before = (await azure.stateOf(rotation)).versions[0]?.id;
  for (;;) {
    await delay(POLL_MS);
    const failure = rotator.failure() ?? consumers.refused();
    if (failure !== undefined) return failure;
    const state = await azure.stateOf(rotation);
    const current = state.versions.at(-1);
    const rotated = current !== undefined && current.id !== before;
    if (!rotated) {
      if (Date.now() > deadline) return 'it never rotated';
      continue;
    }
    const wrong = checkSettled(azure, state) ?? checkLook(rotator, dueAt(state));
    if (wrong === undefined) return undefined;
    if (Date.now() > Math.max(begunAt, dueAt(state)) + SETTLE_SECONDS * 1000) return wrong;
  }
}

/** When every overlap and every grace is over, in milliseconds. */
function dueAt({ own, versions }: RotationState): number {
  const graces = own.map(({ startDateTime }) => startDateTime.getTime() + LIMITS.orphanGraceSeconds * 1000);
  const overlapOver = (versions.at(-1)?.created.getTime() ?? 0) + OVERLAP_SECONDS * 1000;
  return Math.max(overlapOver, ...graces);
}

function checkSettled({ foreign }: RealAzure, { own, otherKeyIds, versions, pendingVersions }: RotationState) {
  const keyIds = own.map(({ keyId }) => keyId);
  const current = versions.at(-1)?.tags.keyId;
  if (keyIds.length !== 1) return `R4 ${keyIds.length} passwords of the broker once settled`;
  if (keyIds[0] !== current) return `R4 the one password left is ${keyIds[0]}, current is ${current}`;
  if (!otherKeyIds.includes(foreign)) return 'R3 the password that was made by hand is gone';
  return pendingVersions === 0 ? 'the pending secret is gone' : undefined;
}

function checkLook(rotator: RotatorProcess, dueAtMs: number): string | undefined {
  const look = rotator.lastLook();
  if (look === undefined || look.from.getTime() < dueAtMs) return 'no look after the grace has come to its end';
  return look.reason === 'settled' ? undefined : `the look after the grace says ${look.reason}`;
}
