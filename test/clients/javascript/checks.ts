import { readFileSync } from 'node:fs';
import { decodeJwt } from 'jose';

/** What the clients in JavaScript share: one printed line for each check, and what they know from the environment. */

export const AML = 'https://ml.azure.com/.default';
export const ARM = 'https://management.azure.com/.default';

export function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: run npm run test:clients.`);
  return value;
}

/** The caller's own token for the broker. */
export const callerToken = (): string => readFileSync(setting('CALLER_TOKEN_FILE'), 'utf8');

/** The token of somebody whom no grant names. */
export const strangerToken = (): string => readFileSync(setting('STRANGER_TOKEN_FILE'), 'utf8');

export function expectEqual(actual: unknown, expected: unknown): void {
  const [found, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (found !== wanted) throw new Error(`expected ${wanted}, got ${found}`);
}

/** The token must be the granted identity's, for this resource. */
export function expectToken(token: string | undefined, resource: string): void {
  if (token === undefined) throw new Error('expected a token, got none');
  const { aud, appid } = decodeJwt<{ appid?: string }>(token);
  expectEqual([String(aud).replace(/\/$/, ''), appid], [resource, setting('CLIENT_ID')]);
}

/** What the promise is rejected with. */
export async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  const { error } = await promise.then(
    () => ({ error: new Error('It was not refused.') }),
    (error: unknown) => ({ error }),
  );
  return error;
}

export async function run(client: string, checks: Readonly<Record<string, () => Promise<void>>>): Promise<void> {
  for (const [title, check] of Object.entries(checks)) {
    try {
      await check();
      console.log(`ok      ${client}: ${title}`);
    } catch (error) {
      process.exitCode = 1;
      console.log(`failed  ${client}: ${title}: ${String(error).replaceAll(/\s+/g, ' ').slice(0, 600)}`);
    }
  }
}
