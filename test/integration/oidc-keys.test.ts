import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ensureCertificates } from '../../sandbox/tls/certificates.ts';
import { isInternalHost, isLocalAddress } from '../../src/config/internal-address.ts';
import { nameError } from '../../src/log.ts';
import { createGetJson, type GetJsonOptions } from '../../src/oidc/get-json.ts';
import { createFetchOidcKeys, createLocate } from '../../src/oidc/oidc-keys.ts';
import { rejectionOf } from '../support/ports.ts';
import { upstreamError, wordsOf } from './azure.ts';

/** OIDC issuers over TLS on loopback: what the broker asks them, and what it does not take from them. */

type Route = string | object | ((response: ServerResponse, request: IncomingMessage) => void);

interface TestIssuer {
  /** The issuer's origin. */
  url: string;
  port: number;
  /** `host path` of what was asked. */
  asked: string[];
  routes: Record<string, Route>;
}

let folder = '';
let trusted: { cert: string; key: string };
const servers: Server[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oidc-'));
  const { caCertificate, tls: pair } = await ensureCertificates(folder, new Date());
  trusted = pair;
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), await readFile(caCertificate, 'utf8')]);
});
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function startIssuer(routes: Record<string, Route> = {}, pair = trusted): Promise<TestIssuer> {
  const issuer: TestIssuer = { url: '', port: 0, asked: [], routes };
  const server = createServer(pair, (request, response) => {
    issuer.asked.push(`${request.headers.host} ${request.url}`);
    const route = issuer.routes[request.url ?? ''];
    if (typeof route === 'function') route(response, request);
    else if (route === undefined) response.writeHead(404).end();
    else response.writeHead(200).end(typeof route === 'string' ? route : JSON.stringify(route));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address: AddressInfo | string | null = server.address();
  issuer.port = address !== null && typeof address === 'object' ? address.port : 0;
  issuer.url = `https://localhost:${issuer.port}`;
  return issuer;
}

const DISCOVERY = '/.well-known/openid-configuration';
const { publicKey } = await generateKeyPair('RS256', { extractable: true });
const rsa: JWK = { ...(await exportJWK(publicKey)), kid: 'rsa-1' };
const rsaPublished = { ...rsa, alg: 'RS256', use: 'sig' };

/** An issuer whose discovery and keys are as they should be. */
async function startGoodIssuer(keys: unknown[] = [rsa]): Promise<TestIssuer> {
  const issuer = await startIssuer();
  issuer.routes = { [DISCOVERY]: { issuer: issuer.url, jwks_uri: `${issuer.url}/keys` }, '/keys': { keys } };
  return issuer;
}

const anywhere = { refusesAddress: () => false };
const fetchKeys = (issuer: string, jwksUri?: string, options: GetJsonOptions = anywhere) =>
  createFetchOidcKeys(createGetJson(options))({ issuer, jwksUri });

const failsAs = (kind: 'unexpected' | 'unavailable' | 'throttled', upstreamCode?: string, status?: number) =>
  upstreamError({ kind, upstreamCode, status, service: 'oidc issuer' });

describe('the keys of an OIDC issuer', () => {
  it('are found by its discovery, on its own origin, with the algorithm that is each one’s own', async () => {
    const issuer = await startGoodIssuer();
    expect(await fetchKeys(issuer.url)).toEqual({ keys: [rsaPublished] });
    expect(issuer.asked).toEqual([`localhost:${issuer.port} ${DISCOVERY}`, `localhost:${issuer.port} /keys`]);
  });

  it('are found for an issuer with a path, with or without a slash at its end', async () => {
    for (const end of ['', '/']) {
      const issuer = await startIssuer();
      const name = `${issuer.url}/cluster/1${end}`;
      issuer.routes = {
        [`/cluster/1${DISCOVERY}`]: { issuer: name, jwks_uri: `${issuer.url}/elsewhere/keys` },
        '/elsewhere/keys': { keys: [rsa] },
      };
      expect(await fetchKeys(name)).toEqual({ keys: [rsaPublished] });
    }
  });

  it('are taken from where they are pinned, on any origin, without discovery', async () => {
    const [issuer, keys] = [await startGoodIssuer(), await startIssuer({ '/pinned?v=1': { keys: [rsa] } })];
    expect(await fetchKeys(issuer.url, `${keys.url}/pinned?v=1`)).toEqual({ keys: [rsaPublished] });
    expect(issuer.asked).toEqual([]);
  });

  it('have the algorithm of their kind, and nothing that is not needed', async () => {
    const pairs = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521', EdDSA: 'Ed25519' };
    const made = await Promise.all(
      Object.keys(pairs).map(async (alg) => ({
        ...(await exportJWK((await generateKeyPair(alg)).publicKey)),
        kid: alg,
      })),
    );
    const issuer = await startGoodIssuer([
      ...made,
      { ...rsa, alg: 'PS512', use: 'sig', key_ops: ['verify'], x5c: ['x'], d: 'secret' },
    ]);
    const { keys } = await fetchKeys(issuer.url);
    expect(keys.map(({ alg }) => alg)).toEqual([...Object.keys(pairs), 'PS512']);
    expect(keys.at(-1)).toEqual({ ...rsaPublished, alg: 'PS512' });
  });

  it('P1: leave out what could not verify a signature as it should', async () => {
    const { publicKey: ec } = await generateKeyPair('ES256', { extractable: true });
    const p256 = await exportJWK(ec);
    const issuer = await startGoodIssuer([
      { kty: 'oct', k: 'c2VjcmV0', kid: 'shared', alg: 'HS256' },
      { ...rsa, kid: 'mac', alg: 'HS256' },
      { ...rsa, kid: 'none', alg: 'none' },
      { ...rsa, kid: 'encrypts', use: 'enc' },
      { ...rsa, kid: 'wraps', alg: 'RSA-OAEP' },
      { ...rsa, kid: 'signs-only', key_ops: ['sign'] },
      { ...rsa, kid: undefined },
      { ...rsa, kid: '' },
      { ...p256, kid: 'curve', alg: 'ES384' },
      { ...p256, kid: 'koblitz', crv: 'secp256k1' },
      null,
      'text',
      rsa,
    ]);
    expect(await fetchKeys(issuer.url)).toEqual({ keys: [rsaPublished] });
  });
});

describe('the discovery of an OIDC issuer', () => {
  it.each([
    [
      'another issuer',
      (url: string) => ({ issuer: 'https://issuer.example', jwks_uri: `${url}/keys` }),
      'another_issuer',
    ],
    ['a slash more', (url: string) => ({ issuer: `${url}/`, jwks_uri: `${url}/keys` }), 'another_issuer'],
    ['other letters', (url: string) => ({ issuer: url.toUpperCase(), jwks_uri: `${url}/keys` }), 'another_issuer'],
    ['no issuer', (url: string) => ({ jwks_uri: `${url}/keys` }), 'contract:issuer'],
    ['no keys', (url: string) => ({ issuer: url }), 'contract:jwks_uri'],
    [
      'keys over http',
      (url: string) => ({ issuer: url, jwks_uri: `${url.replace('https', 'http')}/keys` }),
      'contract:jwks_uri',
    ],
    ['keys in a file', (url: string) => ({ issuer: url, jwks_uri: 'file:///etc/passwd' }), 'contract:jwks_uri'],
    ['keys at a relative place', (url: string) => ({ issuer: url, jwks_uri: '/keys' }), 'contract:jwks_uri'],
    [
      'keys with a user',
      (url: string) => ({ issuer: url, jwks_uri: `${url.replace('//', '//a:b@')}/keys` }),
      'keys_on_another_origin',
    ],
    ['a list', () => [], 'contract:'],
    ['no JSON', () => '<html></html>', 'contract:'],
  ])('P1: is refused with %s, and no keys are asked for', async (_what, document, upstreamCode) => {
    const issuer = await startGoodIssuer();
    issuer.routes[DISCOVERY] = document(issuer.url);
    await expect(fetchKeys(issuer.url)).rejects.toMatchObject(failsAs('unexpected', upstreamCode));
    expect(issuer.asked).toEqual([`localhost:${issuer.port} ${DISCOVERY}`]);
  });

  it('P1: is refused when it names keys on another origin: another port, another host', async () => {
    const [issuer, other] = [await startGoodIssuer(), await startIssuer({ '/keys': { keys: [rsa] } })];
    for (const elsewhere of [other.url, `https://127.0.0.1:${issuer.port}`]) {
      issuer.routes[DISCOVERY] = { issuer: issuer.url, jwks_uri: `${elsewhere}/keys` };
      await expect(fetchKeys(issuer.url)).rejects.toMatchObject(failsAs('unexpected', 'keys_on_another_origin'));
    }
    expect(other.asked).toEqual([]);
    expect(issuer.asked).toHaveLength(2);
  });

  it('P1: follows no redirect, of the discovery or of the keys', async () => {
    const [issuer, other] = [await startGoodIssuer(), await startGoodIssuer()];
    const redirect: Route = (response, { url }) => response.writeHead(302, { location: `${other.url}${url}` }).end();
    for (const path of ['/keys', DISCOVERY]) {
      issuer.routes[path] = redirect;
      await expect(fetchKeys(issuer.url)).rejects.toMatchObject(failsAs('unexpected', undefined, 302));
    }
    expect(other.asked).toEqual([]);
  });
});

describe('an answer of an OIDC issuer', () => {
  const MAX_BYTES = 64 * 1024;
  const padded = (size: number) => {
    const text = JSON.stringify({ keys: [rsa], padding: '' });
    return text.replace('"padding":""', `"padding":"${'x'.repeat(size - text.length)}"`);
  };

  it('may have 64 KiB and no byte more', async () => {
    const issuer = await startGoodIssuer();
    issuer.routes['/keys'] = padded(MAX_BYTES);
    expect(await fetchKeys(issuer.url)).toEqual({ keys: [rsaPublished] });
    issuer.routes['/keys'] = padded(MAX_BYTES + 1);
    await expect(fetchKeys(issuer.url)).rejects.toMatchObject(failsAs('unexpected', 'too_large'));
  });

  it('P1: is cut off when it never ends', async () => {
    const issuer = await startGoodIssuer();
    let closed = false;
    issuer.routes['/keys'] = (response) => {
      response.writeHead(200);
      const more = setInterval(() => response.write('x'.repeat(16_384)), 1);
      response.once('close', () => {
        closed = true;
        clearInterval(more);
      });
    };
    await expect(fetchKeys(issuer.url)).rejects.toMatchObject(failsAs('unexpected', 'too_large'));
    await expect.poll(() => closed).toBe(true);
  });

  it.each<[string, Route]>([
    ['never begins', () => undefined],
    [
      'comes drop by drop',
      (response) => {
        response.writeHead(200);
        const drops = setInterval(() => response.write(' '), 20);
        response.once('close', () => clearInterval(drops));
      },
    ],
  ])('P7: is given up when it %s', async (_what, route) => {
    const issuer = await startGoodIssuer();
    issuer.routes['/keys'] = route;
    const began = performance.now();
    const options = { ...anywhere, timeoutMs: 300 };
    await expect(fetchKeys(issuer.url, undefined, options)).rejects.toMatchObject(failsAs('unavailable', 'timeout'));
    expect(performance.now() - began).toBeLessThan(2000);
  });

  it.each([
    [404, 'unexpected'],
    [204, 'unexpected'],
    [429, 'throttled'],
    [500, 'unavailable'],
    [503, 'unavailable'],
  ] as const)('P7: with status %i is %s', async (status, kind) => {
    const issuer = await startGoodIssuer();
    issuer.routes['/keys'] = (response) => response.writeHead(status).end();
    await expect(fetchKeys(issuer.url)).rejects.toMatchObject(failsAs(kind, undefined, status));
  });

  it.each([
    ['no JSON', 'x', 'contract:'],
    ['no list of keys', { keys: {} }, 'contract:keys'],
    ['no key', { keys: [] }, 'no_usable_keys'],
    ['shared keys only', { keys: [{ kty: 'oct', k: 'c2VjcmV0', kid: 'a' }] }, 'no_usable_keys'],
    ['more keys than anyone needs', { keys: Array.from({ length: 101 }, () => ({})) }, 'contract:keys'],
  ])('P7: with %s is unexpected', async (_what, keys, upstreamCode) => {
    const issuer = await startGoodIssuer();
    issuer.routes['/keys'] = keys;
    await expect(fetchKeys(issuer.url)).rejects.toMatchObject(failsAs('unexpected', upstreamCode));
  });

  it('P7: that is lost, or that nobody gives, is unavailable; the log gets no URL', async () => {
    const issuer = await startGoodIssuer();
    issuer.routes['/keys'] = (response) => response.socket?.destroy();
    await expect(fetchKeys(issuer.url)).rejects.toMatchObject(failsAs('unavailable', 'ECONNRESET'));
    const nobody = await rejectionOf(fetchKeys('https://localhost:1'));
    expect(nobody).toMatchObject(failsAs('unavailable', 'ECONNREFUSED'));
    expect(nameError(nobody)).not.toMatch(/https?:|localhost/);
    expect(wordsOf(nobody)).not.toMatch(/https?:/);
  });
});

describe('the connection to an OIDC issuer', () => {
  it('P1: is over TLS with a certificate that is trusted and names the host', async () => {
    const other = await mkdtemp(join(tmpdir(), 'oidc-other-'));
    const untrusted = (await ensureCertificates(other, new Date())).tls;
    await rm(other, { recursive: true, force: true });
    const stranger = await startIssuer({}, untrusted);
    await expect(fetchKeys(stranger.url)).rejects.toMatchObject(
      failsAs('unavailable', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'),
    );

    const issuer = await startGoodIssuer();
    const resolve: GetJsonOptions['resolve'] = (_host, done) => done(null, [{ address: '127.0.0.1', family: 4 }]);
    const misnamed = fetchKeys(`https://issuer.example:${issuer.port}`, undefined, { ...anywhere, resolve });
    await expect(misnamed).rejects.toMatchObject(failsAs('unavailable', 'ERR_TLS_CERT_ALTNAME_INVALID'));
    expect([...stranger.asked, ...issuer.asked]).toEqual([]);
  });

  it('P1: is never plain http', async () => {
    await expect(fetchKeys('http://localhost:1')).rejects.toMatchObject(failsAs('unexpected', 'not_https'));
  });

  const known: GetJsonOptions = { refusesAddress: isLocalAddress };

  it.each([
    '127.0.0.1',
    'localhost',
    '2130706433',
    '127.1',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '169.254.169.254',
    '0.0.0.0',
    '[fe80::1]',
  ])('P1: is not made to %s on a known cloud', async (host) => {
    const issuer = await startGoodIssuer();
    const url = `https://${host}:${issuer.port}`;
    await expect(fetchKeys(url, undefined, known)).rejects.toMatchObject(failsAs('unexpected', 'refused_address'));
    await expect(fetchKeys('https://issuer.example', `${url}/keys`, known)).rejects.toMatchObject(
      failsAs('unexpected', 'refused_address'),
    );
    expect(issuer.asked).toEqual([]);
  });

  it.each([
    ['to loopback', [{ address: '127.0.0.1', family: 4 }]],
    ['to the metadata service', [{ address: '169.254.169.254', family: 4 }]],
    [
      'to loopback among others',
      [
        { address: '203.0.113.7', family: 4 },
        { address: '::1', family: 6 },
      ],
    ],
  ])('P1: is not made on a known cloud when a name leads %s (DNS rebinding)', async (_where, addresses) => {
    const issuer = await startGoodIssuer();
    const looked: string[] = [];
    const resolve: GetJsonOptions['resolve'] = (host, done) => {
      looked.push(host);
      done(null, addresses);
    };
    const attempt = fetchKeys(`https://issuer.example:${issuer.port}`, undefined, { ...known, resolve });
    await expect(attempt).rejects.toMatchObject(failsAs('unexpected', 'refused_address'));
    expect(looked).toEqual(['issuer.example']);
    expect(issuer.asked).toEqual([]);
  });

  it('P1: is looked at again for every document: a name may lead elsewhere the second time', async () => {
    const issuer = await startGoodIssuer();
    let times = 0;
    const resolve: GetJsonOptions['resolve'] = (_host, done) => {
      times += 1;
      done(null, [{ address: times === 1 ? '127.0.0.1' : '169.254.169.254', family: 4 }]);
    };
    const refusesAddress = (address: string) => address.startsWith('169.254.');
    const attempt = fetchKeys(issuer.url, undefined, { refusesAddress, resolve });
    await expect(attempt).rejects.toMatchObject(failsAs('unexpected', 'refused_address'));
    expect(issuer.asked).toEqual([`localhost:${issuer.port} ${DISCOVERY}`]);
  });

  it('P7: is unavailable when the name is not known', async () => {
    const error = Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' });
    const resolve: GetJsonOptions['resolve'] = (_host, done) => done(error, []);
    const attempt = fetchKeys('https://issuer.example', undefined, { ...known, resolve });
    await expect(attempt).rejects.toMatchObject(failsAs('unavailable', 'ENOTFOUND'));
  });
});

describe('a stand-in for all issuers, on a custom cloud', () => {
  it('is asked by host and path of what it stands in for; the issuer that a document must name stays', async () => {
    const named = 'https://token.actions.githubusercontent.com';
    const standIn = await startIssuer({
      [`/workload/token.actions.githubusercontent.com${DISCOVERY}`]: { issuer: named, jwks_uri: `${named}/keys` },
      '/workload/token.actions.githubusercontent.com/keys': { keys: [rsa] },
    });
    const locate = createLocate(`${standIn.url}/workload`, isInternalHost);
    const fetchMoved = createFetchOidcKeys(createGetJson(anywhere), locate);
    expect(await fetchMoved({ issuer: named, jwksUri: undefined })).toEqual({ keys: [rsaPublished] });
    standIn.routes[`/workload/token.actions.githubusercontent.com${DISCOVERY}`] = {
      issuer: standIn.url,
      jwks_uri: `${standIn.url}/keys`,
    };
    await expect(fetchMoved({ issuer: named, jwksUri: undefined })).rejects.toMatchObject(
      failsAs('unexpected', 'another_issuer'),
    );
  });

  it('is not asked for an issuer on this machine', async () => {
    const [issuer, standIn] = [await startGoodIssuer(), await startIssuer()];
    const fetchMoved = createFetchOidcKeys(createGetJson(anywhere), createLocate(standIn.url, isInternalHost));
    expect(await fetchMoved({ issuer: issuer.url, jwksUri: undefined })).toEqual({ keys: [rsaPublished] });
    expect(standIn.asked).toEqual([]);
  });
});
