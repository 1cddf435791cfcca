import { addSeconds, type Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { Rotation } from '../rotation/facts.ts';
import { type RotateOptions, rotate } from '../rotation/rotate.ts';
import { CliError } from './cli-error.ts';
import { instantText, reasonInWords, type Subject } from './words.ts';

export type Print = (line: string) => void;
export type Sleep = (milliseconds: number) => Promise<unknown>;

export interface RotateNowOptions extends Omit<RotateOptions, 'log'> {
  sleep: Sleep;
  print: Print;
}

/** Longer than any propagation, shorter than a person's patience: the timer can go on from there. */
const PATIENCE_SECONDS = 1800;
const SHORTEST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 60_000;

const stepWords: Readonly<Record<string, string>> = {
  begin: 'A rotation is begun.',
  add: 'A new password is made, and stored beside the current secret.',
  prove: 'The new secret is tried by sign-ins.',
  promote: 'The new secret is current.',
  remove: 'A password that is over was removed.',
};

/** The rotation's own log, in words. */
function progressLog(print: Print): Log {
  let last: string | undefined;
  const once = (line: string) => {
    if (line !== last) print(line);
    last = line;
  };
  const tell: Log['info'] = (event, { step, error } = {}) => {
    if (event === 'rotation_step') once(stepWords[String(step)] ?? `Step ${step}.`);
    if (event === 'rotation_step_failed') once(`The step ${step} failed: ${error}. It is tried again.`);
  };
  return { info: tell, warn: tell, error: tell };
}

/** The rotation rests: what was asked for is done. */
const isOver = (reason: string): boolean => reason === 'settled' || reason === 'too_many_versions';

const isRefused = (reason: string): boolean => reason === 'lifetime_refused' || reason === 'too_many_passwords';

/**
 * Takes the app's own steps until the new secret is current and proved, waiting where the plan waits. May be stopped
 * and run again at any point.
 *
 * @throws CliError where a person has to act first, or where it takes too long
 */
export async function rotateNow(
  rotation: Rotation,
  { sleep, print, ...options }: RotateNowOptions,
  subject: Subject,
): Promise<void> {
  const { clock } = options;
  const deadline = addSeconds(clock(), PATIENCE_SECONDS);
  const log = progressLog(print);
  let told: string | undefined;
  while (clock() < deadline) {
    const { reason, step } = await rotate(rotation, deadline, { ...options, log });
    if (isOver(reason)) return;
    const { means, asks } = reasonInWords(reason, subject);
    const until = step.do === 'nothing' ? step.until : clock();
    if (until === undefined || isRefused(reason)) {
      const secret = `The imported secret is stored and signs in; it is not rotated yet.`;
      throw new CliError(1, `${secret} ${means}\n${asks ?? ''}\nThen run the same import again.`);
    }
    if (reason !== told) print(`Waiting until ${instantText(until)}: ${means}`);
    told = reason;
    await sleep(waitFor(until, clock));
  }
  throw new CliError(
    1,
    'The rotation is not over yet. Run the same import again, or deploy the config: it goes on where it is.',
  );
}

const waitFor = (until: Date, clock: Clock): number =>
  Math.min(Math.max(until.getTime() - clock().getTime(), SHORTEST_WAIT_MS), LONGEST_WAIT_MS);
