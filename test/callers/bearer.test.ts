import { describe, expect, it } from 'vitest';
import { readBearer } from '../../src/callers/bearer.ts';
import { expectRefusal } from './entra.ts';

const token = 'aGVhZGVy.cGF5bG9hZA.c2lnbmF0dXJl';
const read = async (authorization: string | null) => readBearer(authorization);
const ofLength = (length: number) => `a.b.${'c'.repeat(length - 4)}`;

describe('readBearer', () => {
  it.each(['Bearer', 'bearer', 'BEARER', 'bEaReR'])('takes the token after the scheme %s', (scheme) => {
    expect(readBearer(`${scheme} ${token}`)).toBe(token);
  });

  it.each([null, ''])('P1: refuses a request without Authorization (%j)', async (authorization) => {
    await expectRefusal(read(authorization), 'no_authorization');
  });

  it.each([
    ['two headers that arrive joined by a comma', `Bearer ${token}, Bearer ${token}`],
    ['two headers joined without a space', `Bearer ${token},Bearer ${token}`],
    ['two tokens joined by a comma', `Bearer ${token},${token}`],
    ['a second scheme before the token', `Basic dTpw, Bearer ${token}`],
    ['a second scheme after the token', `Bearer ${token}, Basic dTpw`],
    ['another scheme', `Basic ${token}`],
    ['another scheme that ends alike', `XBearer ${token}`],
    ['a token without a scheme', token],
    ['a scheme without a token', 'Bearer'],
    ['a scheme and a space without a token', 'Bearer '],
    ['two spaces', `Bearer  ${token}`],
    ['a tab for the space', `Bearer\t${token}`],
    ['no space', `Bearer${token}`],
    ['a space before the scheme', ` Bearer ${token}`],
    ['a space after the token', `Bearer ${token} `],
    ['a line break after the token', `Bearer ${token}\n`],
    ['a space inside the token', 'Bearer aGVhZGVy. cGF5bG9hZA.c2lnbmF0dXJl'],
    ['a line break inside the token', 'Bearer aGVhZGVy.\ncGF5bG9hZA.c2lnbmF0dXJl'],
    ['base64 padding', 'Bearer aGVhZGVy.cGF5bG9hZA==.c2lnbmF0dXJl'],
    ['the base64 alphabet that is not for URLs', 'Bearer a+Vh/GVy.cGF5bG9hZA.c2lnbmF0dXJl'],
    ['percent signs', 'Bearer aGVhZGVy%2EcGF5bG9hZA.c2lnbmF0dXJl'],
    ['quotes', `Bearer "${token}"`],
    ['no signature, as alg none writes it', 'Bearer aGVhZGVy.cGF5bG9hZA.'],
    ['no payload', 'Bearer aGVhZGVy..c2lnbmF0dXJl'],
    ['two parts', 'Bearer aGVhZGVy.cGF5bG9hZA'],
    ['four parts', `Bearer ${token}.ZXh0cmE`],
    ['a dot at the end', `Bearer ${token}.`],
    ['a dot at the start', `Bearer .${token}`],
    ['five parts, as an encrypted token has', `Bearer ${token}.a.b`],
    ['letters beyond ASCII', 'Bearer aGVhZGVyé.cGF5bG9hZA.c2lnbmF0dXJl'],
  ])('P1: refuses %s', async (_what, authorization) => {
    await expectRefusal(read(authorization), 'not_one_bearer_token');
  });

  it('reads a token of exactly 16 KiB', () => {
    expect(readBearer(`Bearer ${ofLength(16_384)}`)).toHaveLength(16_384);
  });

  it('P1: refuses a token over 16 KiB', async () => {
    await expectRefusal(read(`Bearer ${ofLength(16_385)}`), 'token_too_long');
  });

  it('P2: repeats nothing of what was sent in the error', async () => {
    const failed = await read(`Bearer ${token}, Bearer ${token}`).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(Error);
    expect(`${String(failed)} ${JSON.stringify(failed)}`).not.toContain('aGVhZGVy');
  });
});
