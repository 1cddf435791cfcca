import { startRealAzure } from './azure.ts';
import type { StopAt } from './messages.ts';
import { type RealRun, runForReal } from './run-for-real.ts';

export interface SampleResult {
  points: number;
  violations: number;
}

/** How many rotations are under way at once: more would only wait for a processor. */
const AT_ONCE = 6;
/** A dangerous call and so many after it are points. */
const CALLS_AFTER = 2;
/** Points spread over all other calls. */
const SPREAD = 6;
/** Calls after which a crash could strand somebody: an attempt begun, a password made, stored, promoted, removed. */
const dangerous = /^(records\.write .*(attempt|promoted)|applications\.(add|remove)Password|vault\.write )/;

interface Point {
  name: string;
  stopAt: StopAt;
}

/** The points of the sample, from the calls of a whole run, in their order. */
function choosePoints(calls: readonly string[]): Point[] {
  const points: Point[] = [];
  const others: number[] = [];
  let after = 0;
  let last: string | undefined;
  for (const [index, call] of calls.entries()) {
    const first = dangerous.test(call) && calls.indexOf(call) === index;
    after = first ? 0 : after + 1;
    if (first) last = call;
    if (last === undefined || after > CALLS_AFTER) others.push(index);
    else points.push({ name: after === 0 ? last : `${last} + ${after}`, stopAt: { after: last, calls: after } });
  }
  for (let place = 0; place < SPREAD; place++) {
    const index = others[Math.floor(((place + 0.5) * others.length) / SPREAD)];
    if (index !== undefined) points.push({ name: `call ${index + 1}`, stopAt: { calls: index + 1 } });
  }
  return points;
}

/**
 * A sample of crash points for real: processes with the real adapters against the sandbox over TLS, killed with SIGKILL,
 * while consumers sign in. Each point has a rotation of its own; all share one application, so each one's passwords are
 * foreign to the others.
 */
export async function runSample(print: (line: string) => void): Promise<SampleResult> {
  const begunAt = Date.now();
  const azure = await startRealAzure();
  const result: SampleResult = { points: 0, violations: 0 };
  const signIns = { current: 0, previous: 0 };
  const note = (name: string, { signIns: { current, previous }, stoppedAt, violation }: RealRun) => {
    signIns.current += current;
    signIns.previous += previous;
    const unseen = previous === 0 ? 'nobody signed in with a previous secret' : undefined;
    const reason = violation ?? unseen;
    if (reason === undefined) return;
    result.violations += 1;
    print(`violation for real: ${name} (${stoppedAt ?? 'not stopped'}): ${reason}`);
  };
  try {
    const whole = await runForReal(azure, 'whole', undefined);
    note('whole', whole);
    const points = choosePoints(whole.calls);
    result.points = points.length;
    const rest = points.entries();
    const worker = async () => {
      for (const [index, { name, stopAt }] of rest) note(name, await runForReal(azure, `sample-${index + 1}`, stopAt));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    const seconds = Math.round((Date.now() - begunAt) / 1000);
    print(`killed for real after: ${points.map(({ name }) => name).join(', ')}`);
    print(
      `for real: ${points.length} of ${whole.calls.length} calls in ${seconds} s; sign-ins: ${signIns.current} with what GET returned, ${signIns.previous} with a previous secret; ${result.violations} violations`,
    );
    return result;
  } finally {
    await azure.stop();
  }
}
