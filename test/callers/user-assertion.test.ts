import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Caller } from '../../src/callers/caller.ts';
import { UserAssertion } from '../../src/callers/user-assertion.ts';
import { withUserAssertion } from '../../src/callers/with-user-assertion.ts';
import { BrokerError } from '../../src/errors.ts';
import { createLog, nameError } from '../../src/log.ts';
import { aCaller } from '../support/builders.ts';

const token = 'eyJhbGciOiJSUzI1NiJ9.eyJvaWQiOiJ1c2VyLW9uZSJ9.c2lnbmF0dXJlLW9mLWVudHJh';
const shows = (text: string) => token.split('.').filter((part) => text.includes(part));

describe('a user’s own token', () => {
  const assertion = new UserAssertion(token);
  const caller: Caller = aCaller({ class: 'user', assertion });

  it('is revealed to whoever asks for it by name', () => {
    expect(assertion.reveal()).toBe(token);
  });

  it('is told apart by its SHA-256', () => {
    expect(assertion.hash).toBe(createHash('sha256').update(token).digest('base64url'));
    expect(new UserAssertion(`${token}x`).hash).not.toBe(assertion.hash);
  });

  it.each<[string, (value: unknown) => string]>([
    ['JSON', (value) => JSON.stringify(value)],
    ['inspection, hidden members too', (value) => inspect(value, { depth: 9, showHidden: true, getters: true })],
    ['text', (value) => String(value)],
    ['its own members', (value) => JSON.stringify(Object.entries({ ...Object(value) }).flat())],
    ['a copy', (value) => inspect(structuredClone({ ...Object(value), reveal: undefined }), { depth: 9 })],
    ['an error’s name in the log', (value) => nameError(new Error('x', { cause: value }))],
  ])('P2: is not shown by %s, alone or in a caller', (_what, show) => {
    expect(shows(show(assertion))).toEqual([]);
    expect(shows(show(caller))).toEqual([]);
  });

  it('P2: reaches no log line as a member of what is logged', () => {
    const lines: string[] = [];
    const write = (line: string) => lines.push(line);
    const log = createLog({ info: write, warn: write, error: write });
    log.error('failed', {
      error: nameError(new BrokerError('internal_error', { cause: caller })),
      caller: `${caller}`,
    });
    log.warn('asked', { assertion: `${assertion}` });
    expect(shows(lines.join())).toEqual([]);
    expect(lines.join()).toContain('[user assertion]');
  });
});

describe('a verifier with it', () => {
  it('gives callers of class user their own token along, and remembers none', async () => {
    const verified = aCaller({ class: 'user' });
    const verify = withUserAssertion(async () => verified);
    const [one, other] = [await verify('token-one'), await verify('token-two')];
    expect([one.assertion?.reveal(), other.assertion?.reveal()]).toEqual(['token-one', 'token-two']);
    expect(verified).not.toHaveProperty('assertion');
  });

  it('P2: gives none to an app', async () => {
    expect(await withUserAssertion(async () => aCaller())(token)).not.toHaveProperty('assertion');
  });

  it('lets refusals through', async () => {
    const refusal = new BrokerError('invalid_token', { reason: 'expired' });
    await expect(withUserAssertion(() => Promise.reject(refusal))(token)).rejects.toBe(refusal);
  });
});
