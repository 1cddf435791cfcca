import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createFetchEntraKeys } from '../../src/azure/entra-keys.ts';
import { nameError } from '../../src/log.ts';
import { rejectionOf } from '../support/ports.ts';
import { startAzure, type TestAzure, upstreamError } from './azure.ts';

let azure: TestAzure;

beforeAll(async () => {
  azure = await startAzure();
});
beforeEach(() => azure.reset());
afterAll(() => azure.stop());

const fetchKeys = (authorityHost = azure.endpoints.entra) => createFetchEntraKeys(authorityHost)(azure.tenantId);

const json = { 'content-type': 'application/json' };
const rsaKey = { kty: 'RSA', kid: 'kid', n: 'AQAB', e: 'AQAB' };

describe('published keys of Entra', () => {
  it('gives the RSA keys of the tenant by kid, without alg, in one call', async () => {
    const { keys } = await fetchKeys();
    expect(keys).toHaveLength(2);
    for (const key of keys) {
      expect(Object.keys(key).sort()).toEqual(['e', 'kid', 'kty', 'n', 'use']);
      expect(key).toMatchObject({ kty: 'RSA', use: 'sig' });
    }
    const [call, ...others] = await azure.calls('entra');
    expect(call).toMatchObject({ method: 'GET', path: `/${azure.tenantId}/discovery/v2.0/keys`, status: 200 });
    expect(others).toEqual([]);
  });

  it('P1: a caller’s token of either version verifies with one of them, and no altered one', async () => {
    const keySet = createLocalJWKSet(await fetchKeys());
    for (const version of ['1.0', '2.0']) {
      const token = await azure.callerToken({ version });
      const { protectedHeader } = await jwtVerify(token, keySet, { algorithms: ['RS256'] });
      expect(protectedHeader.kid).toBe(decodeProtectedHeader(token).kid);
      const [header, , signature] = token.split('.');
      const otherPayload = Buffer.from(JSON.stringify({ oid: 'another' })).toString('base64url');
      const altered = jwtVerify(`${header}.${otherPayload}.${signature}`, keySet, { algorithms: ['RS256'] });
      await expect(altered).rejects.toMatchObject({ code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' });
    }
  });

  it('passes over what is no RSA key, and takes nothing along that it does not need', async () => {
    const others = [
      { kty: 'EC', kid: 'ec', crv: 'P-256', x: 'x', y: 'y' },
      { kty: 'oct', k: 'c2VjcmV0' },
      null,
      'text',
    ];
    const keys = [...others, { ...rsaKey, use: 'sig', alg: 'PS256', d: 'private' }, { ...rsaKey, kid: '' }];
    const odd = await azure.serveOdd({ status: 200, headers: json, text: JSON.stringify({ keys }) });
    expect(await fetchKeys(odd.url)).toEqual({ keys: [{ ...rsaKey, use: 'sig' }] });
  });
});

describe('published keys of Entra: no usable answer', () => {
  it.each([
    [{ status: 503 }, { kind: 'unavailable', status: 503 }],
    [{ status: 500 }, { kind: 'unavailable', status: 500 }],
    [{ status: 429 }, { kind: 'throttled', status: 429, retryAfterSeconds: undefined }],
    [
      { status: 429, retryAfterSeconds: 17 },
      { kind: 'throttled', status: 429, retryAfterSeconds: 17 },
    ],
    [{ status: 404 }, { kind: 'unexpected', status: 404 }],
    [{ status: 200 }, { kind: 'unexpected', upstreamCode: 'contract:keys' }],
  ] as const)('P7: %j is told as %j after one call', async (fault, expected) => {
    await azure.fault({ service: 'entra', ...fault });
    await expect(fetchKeys()).rejects.toMatchObject(upstreamError({ ...expected, service: 'entra keys' }));
    expect(await azure.outcomes('entra')).toEqual([`GET ${fault.status}`]);
  });

  it('P7: a tenant that Entra does not know is no usable answer', async () => {
    const fetching = createFetchEntraKeys(azure.endpoints.entra)('22222222-2222-4222-8222-222222222222');
    await expect(fetching).rejects.toMatchObject(upstreamError({ kind: 'unexpected', status: 400 }));
  });

  it.each([
    ['no JSON', '<html></html>', 'contract:'],
    ['cut JSON', '{"keys":[', 'contract:'],
    ['an empty body', '', 'contract:'],
    ['keys that are no list', '{"keys":{}}', 'contract:keys'],
    ['no keys', '{"keys":[]}', 'no_rsa_keys'],
    ['elliptic keys only', '{"keys":[{"kty":"EC","kid":"ec","crv":"P-256","x":"x","y":"y"}]}', 'no_rsa_keys'],
    ['RSA keys without kid only', '{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}', 'no_rsa_keys'],
  ])('P7: %s is unexpected', async (_case, text, upstreamCode) => {
    const odd = await azure.serveOdd({ status: 200, headers: json, text });
    await expect(fetchKeys(odd.url)).rejects.toMatchObject(upstreamError({ kind: 'unexpected', upstreamCode }));
  });

  it('P1: follows no redirect to keys, be it to the same host or to another one', async () => {
    const target = await azure.serveOdd({ status: 200, headers: json, text: JSON.stringify({ keys: [rsaKey] }) });
    for (const location of ['/keys', target.url]) {
      const odd = await azure.serveOdd({ status: 302, headers: { location }, text: '' });
      await expect(fetchKeys(odd.url)).rejects.toMatchObject(upstreamError({ kind: 'unexpected', status: 302 }));
      expect(odd.requests).toHaveLength(1);
    }
    expect(target.requests).toEqual([]);
  });

  it('P7: a lost answer, or an authority that nobody runs, is unavailable; the log gets no URL', async () => {
    await azure.fault({ service: 'entra', commitThenDrop: true, times: 1 });
    await expect(fetchKeys()).rejects.toMatchObject(upstreamError({ kind: 'unavailable' }));
    const odd = await azure.serveOdd({ status: 200, text: '' });
    await odd.stop();
    const error = await rejectionOf(fetchKeys(odd.url));
    expect(error).toMatchObject(upstreamError({ kind: 'unavailable' }));
    expect(nameError(error)).not.toMatch(/https?:/);
  });
});
