import type { FoundApplication, Graph } from '../azure/graph.ts';
import type { Clock } from '../clock.ts';
import { UpstreamError } from '../errors.ts';
import type { PlanLimits, Rotation } from '../rotation/facts.ts';
import type { RotationPorts, SignIn } from '../rotation/ports.ts';
import { findRemovals } from '../rotation/removable.ts';
import { look } from '../rotation/rotate.ts';
import { createWriteBudget, GRAPH_WRITES, pausingWrites } from '../rotation/write-budget.ts';
import type { Wanted } from './arguments.ts';
import { type Ask, choosePassword } from './choose-password.ts';
import { CliError } from './cli-error.ts';
import { checkName, checkOwner, refuseFact, remember, writeSecret } from './keep-secret.ts';
import type { ImportedSecret } from './read-secret.ts';
import { type Print, rotateNow, type Sleep } from './rotate-now.ts';

export interface ImportContext {
  ports: RotationPorts;
  findApplication: Graph['findApplication'];
  limits: PlanLimits;
  rotator: string | undefined;
  /** The rotation as the policy admits it; see policy-entry.ts. */
  admit: (rotation: Rotation) => { rotation: Rotation; configured: boolean };
  clock: Clock;
  sleep: Sleep;
  newId: () => string;
  print: Print;
  /** For an ambiguous password. */
  ask: Ask;
  /** Asked once before anything is written; absent means yes. */
  confirm: ((question: string) => Promise<boolean>) | undefined;
}

export interface ImportOutcome {
  rotation: Rotation;
  /** The policy has it already: nothing is to be added. */
  configured: boolean;
  keyId: string;
  /** When the imported password may be removed; undefined where it has been already. */
  goesAt: Date | undefined;
}

/** What is not said of the new rotation: the policy's own defaults, and a month. */
const DAY_SECONDS = 86_400;
const DEFAULTS = {
  rotateEverySeconds: 30 * DAY_SECONDS,
  lifetimeSeconds: 90 * DAY_SECONDS,
  overlapSeconds: DAY_SECONDS,
};

/** A secret that was made a moment ago is not known everywhere yet. */
const SIGN_INS = 4;
const SIGN_IN_WAIT_MS = 5000;

async function proveSecret(secret: ImportedSecret, signIn: SignIn, sleep: Sleep): Promise<void> {
  const { tenantId, clientId, secretText } = secret;
  for (let tries = 1; ; tries++) {
    const outcome = await signIn({ tenantId, clientId }, secretText).catch((error) => {
      if (!(error instanceof UpstreamError) || error.kind !== 'credential_refused') throw error;
      throw new CliError(1, `Entra does not accept the tenant or the client id: ${error.message}\nCheck both.`);
    });
    if (outcome === 'signed_in') return;
    if (outcome === 'expired') {
      throw new CliError(
        1,
        'The secret has expired. Make a new one and import that: az ad app credential reset --append',
      );
    }
    if (tries >= SIGN_INS) {
      throw new CliError(
        1,
        'Entra does not know this secret. If it was made within the last minutes, try again; if it was imported before, it has been retired and nothing is left to do.',
      );
    }
    await sleep(SIGN_IN_WAIT_MS);
  }
}

async function findApplication(
  { clientId }: ImportedSecret,
  { findApplication, rotator }: ImportContext,
): Promise<FoundApplication> {
  const found = await findApplication(clientId);
  if (found.kind === 'found') return found.value;
  if (found.kind === 'not_found') {
    const where = 'the broker looks in its own tenant';
    throw new CliError(
      1,
      `Graph knows no application of the client id ${clientId}. Check it and the tenant: ${where}.`,
    );
  }
  // az takes either id of an application.
  const subject = { secret: '<secret>', application: clientId, clientId, rotator };
  return refuseFact(found.kind === 'forbidden' ? 'not_owned' : 'unreadable', subject);
}

/** `azure-cli-2026-11-22` → `azure-cli-2026-11-22-password`; without a usable display name, the client id's. */
export function defaultName({ displayName = '', clientId }: ImportedSecret): string {
  const plain = displayName
    .toLowerCase()
    .replaceAll(/[^0-9a-z]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 100);
  return `${plain || `sp-${clientId}`}-password`;
}

/**
 * Takes over a secret that has been on a disk: it is tried, found among the application's passwords, stored in Key Vault,
 * adopted by the rotation's record, and rotated at once. Every step finds what an earlier run has done, so the same
 * import may be cut off anywhere and run again.
 *
 * @throws CliError, UpstreamError; no message holds the secret
 */
export async function importSecret(
  secret: ImportedSecret,
  wanted: Wanted,
  context: ImportContext,
): Promise<ImportOutcome | 'declined'> {
  const { ports, clock, print, rotator } = context;
  const { tenantId, clientId, secretText } = secret;
  await proveSecret(secret, ports.signIn, context.sleep);
  const found = await findApplication(secret, context);
  const application = found.objectId.toLowerCase();
  const name = wanted.name ?? defaultName(secret);
  const { rotation, configured } = context.admit({
    name,
    tenantId,
    clientId,
    application,
    rotateEverySeconds: wanted.rotateEverySeconds ?? DEFAULTS.rotateEverySeconds,
    lifetimeSeconds: wanted.lifetimeSeconds ?? DEFAULTS.lifetimeSeconds,
    overlapSeconds: wanted.overlapSeconds ?? DEFAULTS.overlapSeconds,
  });
  const password = await choosePassword(found, secretText, wanted.keyId, context.ask);
  const target = { rotation, password };
  const subject = { secret: name, application, clientId, rotator };
  await checkOwner(target, ports.records);
  const state = await checkName(target, secretText, ports, subject);
  const question = `Store the password ${password.keyId} as the Key Vault secret ${name}, and rotate it now?`;
  if (context.confirm !== undefined && !(await context.confirm(question))) return 'declined';

  if (state === 'write') await writeSecret(target, secretText, ports.vault);
  print(`The secret signs in; Key Vault has it as ${name}.`);
  await remember(target, state === 'rotated', ports.records, clock);
  const budget = createWriteBudget({ clock, ...GRAPH_WRITES });
  const applications = pausingWrites(ports.applications, budget, clock);
  const { limits, newId, sleep } = context;
  await rotateNow(rotation, { ports: { ...ports, applications }, limits, budget, clock, newId, sleep, print }, subject);

  const { facts } = await look(rotation, ports, clock);
  const goesAt = findRemovals(facts, limits).find(({ keyId }) => keyId === password.keyId)?.at;
  return { rotation, configured, keyId: password.keyId, goesAt };
}
