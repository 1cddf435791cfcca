import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { DEFAULT_CALLER, TRAINER } from '../../sandbox/seed.ts';
import { managedIdentityCredential } from '../../src/azure/credentials.ts';
import { createGraph } from '../../src/azure/graph.ts';
import type { UpstreamKind } from '../../src/errors.ts';
import { describeApplicationsContract } from '../rotation/contract/applications.ts';
import { foundIn } from '../rotation/contract/found-in.ts';
import { rejectionOf } from '../support/ports.ts';
import { startAzure, type TestAzure, upstreamError, wordsOf } from './azure.ts';

const { objectId } = TRAINER;
/** Not owned by the broker. */
const CHECKOUT = 'e0000000-0000-4000-8000-0000000000a1';
const NOBODY = 'd0000000-0000-4000-8000-0000000000ff';
const PROPAGATION_SECONDS = 5;

let azure: TestAzure;
beforeAll(async () => {
  azure = await startAzure({ SANDBOX_PROPAGATION_SECONDS: String(PROPAGATION_SECONDS) });
});
afterAll(() => azure?.stop());
beforeEach(() => azure.reset());

const graph = (endpoint = azure.endpoints.graph) =>
  createGraph({
    endpoint,
    scope: 'https://graph.microsoft.com/.default',
    credential: managedIdentityCredential(undefined),
  });

const settle = async () => azure.advance(PROPAGATION_SECONDS + 1);

describeApplicationsContract('Graph on the sandbox', async () => ({
  applications: graph(),
  objectId,
  appId: TRAINER.appId,
  unknownObjectId: NOBODY,
  clock: azure.now,
  settle,
}));

const aPassword = () => ({ displayName: 'by the test', endsOn: new Date('2027-02-01T00:00:00.000Z') });

const stateAnswer = z.object({
  applications: z.array(z.object({ id: z.string(), passwords: z.array(z.object({ keyId: z.string() })) })),
});

/** Every password that exists at this moment, whatever reads show. */
async function existing(): Promise<string[]> {
  const { applications } = stateAnswer.parse(await (await azure.control('GET', '/state')).json());
  return applications.find(({ id }) => id === objectId)?.passwords.map(({ keyId }) => keyId) ?? [];
}

describe('a look at an application', () => {
  const looks = [
    [
      'by object id',
      (id: 'mine' | 'theirs' | 'nobody') => graph().read({ mine: objectId, theirs: CHECKOUT, nobody: NOBODY }[id]),
    ],
    [
      'by client id',
      (id: 'mine' | 'theirs' | 'nobody') =>
        graph().findApplication({ mine: TRAINER.appId, theirs: DEFAULT_CALLER.appId, nobody: NOBODY }[id]),
    ],
  ] as const;

  it.each(looks)('%s: one that is not there, and one that the broker does not own', async (_by, look) => {
    expect(await look('nobody')).toEqual({ kind: 'not_found' });
    expect(await look('theirs')).toEqual({ kind: 'forbidden' });
    expect(await look('mine')).toMatchObject({ kind: 'found' });
  });

  it.each(looks)('%s: throttled and unavailable are unreadable, never absent', async (_by, look) => {
    for (const [fault, retryAfterSeconds] of [
      [{ status: 429, retryAfterSeconds: 7 }, 7],
      [{ status: 429 }, undefined],
      [{ status: 503 }, undefined],
      [{ status: 503, code: 'Directory_ConcurrencyViolation', retryAfterSeconds: 9 }, 9],
      [{ commitThenDrop: true }, undefined],
    ] as const) {
      await azure.fault({ service: 'graph', ...fault });
      expect(await look('mine')).toEqual({ kind: 'unreadable', retryAfterSeconds });
      await azure.clearFaults();
    }
  });

  it.each(looks)('%s: a refusal that says nothing of the application is thrown', async (_by, look) => {
    for (const [status, code, kind] of [
      [404, 'BadRequest', 'unexpected'],
      [400, 'Request_BadRequest', 'unexpected'],
      [401, 'InvalidAuthenticationToken', 'credential_refused'],
    ] as const) {
      await azure.fault({ service: 'graph', status, code });
      await expect(look('mine')).rejects.toMatchObject(
        upstreamError({ service: 'graph', kind, status, upstreamCode: code }),
      );
      await azure.clearFaults();
    }
  });

  it('one that the broker does not own is forbidden to write to', async () => {
    const forbidden = upstreamError({ kind: 'forbidden', status: 403, upstreamCode: 'Authorization_RequestDenied' });
    await expect(graph().addPassword(CHECKOUT, aPassword())).rejects.toMatchObject(forbidden);
    await expect(graph().removePassword(CHECKOUT, NOBODY)).rejects.toMatchObject(forbidden);
  });

  it('by client id tells the object id, the passwords, and how each text begins', async () => {
    const made = await graph().addPassword(objectId, aPassword());
    if (typeof made === 'string') throw new Error(`addPassword was refused: ${made}.`);
    await settle();
    const found = foundIn(await graph().findApplication(TRAINER.appId.toUpperCase()));
    expect(found.objectId).toBe(objectId);
    expect(found.application).toEqual(foundIn(await graph().read(objectId)));
    expect(found.hints.get(made.made.keyId)).toBe(made.secretText.slice(0, 3));
    expect([...found.hints.keys()].toSorted()).toEqual((await existing()).toSorted());
  });

  it('by client id quotes what is asked for: it can name one application and nothing else', async () => {
    const text = JSON.stringify({ error: { code: 'Request_ResourceNotFound', message: '' } });
    const service = await azure.serveOdd({ status: 404, text });
    await graph(service.url).findApplication("x') or/../y?");
    const [request = ''] = service.requests;
    expect(request).toMatch(/^GET \/v1\.0\/applications\(appId='x''\)%20or%2F\.\.%2Fy%3F'\)\?\$select=/);
  });
});

describe('passwords in odd shapes', () => {
  const odd = (passwordCredentials: unknown[]) =>
    azure.serveOdd({
      status: 200,
      headers: { 'content-type': 'application/json' },
      text: JSON.stringify({ id: objectId, appId: TRAINER.appId.toUpperCase(), passwordCredentials }),
    });
  const keyId = 'ABCDEF00-0000-4000-8000-00000000000A';

  it('without name, dates or hint do not hide the others; ids are in lower case', async () => {
    const service = await odd([
      { keyId, displayName: null, hint: null, startDateTime: null, endDateTime: null },
      {
        keyId: NOBODY,
        displayName: 'old',
        startDateTime: '2026-01-02T03:04:05.1234567Z',
        endDateTime: '2299-12-31T00:00:00Z',
      },
    ]);
    const { application, hints } = foundIn(await graph(service.url).findApplication(TRAINER.appId));
    expect(application).toEqual({
      appId: TRAINER.appId,
      passwords: [
        {
          keyId: keyId.toLowerCase(),
          displayName: undefined,
          startsOn: new Date(0),
          endsOn: new Date('9999-12-31T23:59:59.000Z'),
        },
        {
          keyId: NOBODY,
          displayName: 'old',
          startsOn: new Date('2026-01-02T03:04:05.123Z'),
          endsOn: new Date('2299-12-31T00:00:00.000Z'),
        },
      ],
    });
    expect([...hints]).toEqual([
      [keyId.toLowerCase(), undefined],
      [NOBODY, undefined],
    ]);
  });

  it.each([
    ['no id', [{ displayName: 'x', startDateTime: null, endDateTime: null }]],
    ['an end that is no time', [{ keyId, startDateTime: null, endDateTime: 'never' }]],
  ])('are refused as a whole with %s: what cannot be read may be ours', async (_case, passwords) => {
    const service = await odd(passwords);
    await expect(graph(service.url).read(objectId)).rejects.toMatchObject(upstreamError({ kind: 'unexpected' }));
  });

  it('P2: an answer of addPassword that cannot be read shows nothing of the text', async () => {
    const text = JSON.stringify({ keyId: 'no-guid', secretText: 'secret-text', startDateTime: 1, endDateTime: 2 });
    const service = await azure.serveOdd({ status: 200, headers: { 'content-type': 'application/json' }, text });
    const thrown = await rejectionOf(graph(service.url).addPassword(objectId, aPassword()));
    expect(thrown).toMatchObject(upstreamError({ service: 'graph', kind: 'unexpected' }));
    expect(wordsOf(thrown)).not.toContain('secret-text');
  });
});

describe('a refused addPassword', () => {
  const refuse = (status: number, code: string) =>
    azure.fault({ service: 'graph', match: 'addPassword', status, code });

  it.each([400, 403])('for a life that the tenant’s policy does not allow (%i) is an answer', async (status) => {
    await refuse(status, 'CredentialInvalidLifetimeAsPerAppPolicy');
    expect(await graph().addPassword(objectId, aPassword())).toBe('lifetime_refused');
  });

  it.each([400, 403])('for want of room in the directory object (%i) is an answer', async (status) => {
    await refuse(status, 'Directory_ResourceSizeExceeded');
    expect(await graph().addPassword(objectId, aPassword())).toBe('no_room');
  });

  it('for a policy that allows no passwords at all is forbidden, by its code', async () => {
    const upstreamCode = 'CredentialTypeNotAllowedAsPerAppPolicy';
    await refuse(400, upstreamCode);
    await expect(graph().addPassword(objectId, aPassword())).rejects.toMatchObject(
      upstreamError({ kind: 'forbidden', status: 400, upstreamCode }),
    );
  });

  it.each<[number, string, UpstreamKind]>([
    [400, 'Request_BadRequest', 'unexpected'],
    [401, 'InvalidAuthenticationToken', 'credential_refused'],
    [403, 'Authorization_RequestDenied', 'forbidden'],
    [404, 'Request_ResourceNotFound', 'not_found'],
    [500, 'Service_InternalServerError', 'unavailable'],
    [503, 'serviceNotAvailable', 'unavailable'],
  ])('with %i %s is %s, and nothing was made', async (status, upstreamCode, kind) => {
    const before = await existing();
    await refuse(status, upstreamCode);
    await expect(graph().addPassword(objectId, aPassword())).rejects.toMatchObject(
      upstreamError({ service: 'graph', kind, status, upstreamCode }),
    );
    expect(await existing()).toEqual(before);
  });

  it('whose answer is lost fails, and has made a password that its name tells', async () => {
    const before = await existing();
    await azure.fault({ service: 'graph', match: 'addPassword', commitThenDrop: true });
    await expect(graph().addPassword(objectId, aPassword())).rejects.toMatchObject(
      upstreamError({ kind: 'unavailable' }),
    );
    await azure.clearFaults();
    await settle();
    const { passwords } = foundIn(await graph().read(objectId));
    const orphan = passwords.find(({ keyId }) => !before.includes(keyId));
    expect(orphan).toMatchObject({ displayName: 'by the test' });
  });

  it('really is refused when the application is full', async () => {
    await azure.reset();
    const full = await existing();
    for (let made = full.length; made < 400; made++) await azure.operate('add-password', { application: objectId });
    expect(await graph().addPassword(objectId, aPassword())).toBe('no_room');
    const kept = new Set(full);
    for (const keyId of await existing()) {
      if (!kept.has(keyId)) await azure.operate('remove-password', { application: objectId, keyId });
    }
  });
});

describe('a throttled write', () => {
  const writes = [
    ['addPassword', () => graph().addPassword(objectId, aPassword())],
    ['removePassword', () => graph().removePassword(objectId, NOBODY)],
  ] as const;
  const cases = writes.flatMap(([name, write]) => [400, 409, 500, 503].map((status) => [name, status, write] as const));

  it.each(cases)('%s: two writes at once (%i) are to be tried again later', async (match, status, write) => {
    const upstreamCode = 'Directory_ConcurrencyViolation';
    await azure.fault({ service: 'graph', match, status, code: upstreamCode });
    await expect(write()).rejects.toMatchObject(
      upstreamError({ kind: 'throttled', status, upstreamCode, retryAfterSeconds: undefined }),
    );
  });

  it.each(writes)('%s: 429 with and without Retry-After', async (match, write) => {
    await azure.fault({ service: 'graph', match, status: 429, retryAfterSeconds: 17, times: 1 });
    await azure.fault({ service: 'graph', match, status: 429, times: 1 });
    const throttled = { kind: 'throttled', status: 429, upstreamCode: 'TooManyRequests' } as const;
    await expect(write()).rejects.toMatchObject(upstreamError({ ...throttled, retryAfterSeconds: 17 }));
    await expect(write()).rejects.toMatchObject(upstreamError({ ...throttled, retryAfterSeconds: undefined }));
    // Each was asked for once: nothing slept through the Retry-After.
    expect((await azure.outcomes('graph')).filter((outcome) => outcome === 'POST 429')).toHaveLength(2);
  });
});

describe('a refused removePassword', () => {
  it.each([
    ['another sentence of the same code', { status: 400, code: 'Request_BadRequest' }],
    ['another code', { status: 400, code: 'Request_UnsupportedQuery' }],
  ])('with 400 is no removal: %s', async (_case, fault) => {
    await azure.fault({ service: 'graph', match: 'removePassword', ...fault });
    await expect(graph().removePassword(objectId, NOBODY)).rejects.toMatchObject(
      upstreamError({ kind: 'unexpected', status: 400, upstreamCode: fault.code }),
    );
  });

  it('with the sentence of a missing password but another status is no removal', async () => {
    const message = 'No password credential found with keyId x.';
    const text = JSON.stringify({ error: { code: 'Request_BadRequest', message } });
    const service = await azure.serveOdd({ status: 403, headers: { 'content-type': 'application/json' }, text });
    await expect(graph(service.url).removePassword(objectId, NOBODY)).rejects.toMatchObject(
      upstreamError({ kind: 'forbidden', status: 403 }),
    );
  });

  it('of a password that Graph does not know yet changes nothing: the next look shows it', async () => {
    const made = await graph().addPassword(objectId, aPassword());
    if (typeof made === 'string') throw new Error(`addPassword was refused: ${made}.`);
    await graph().removePassword(objectId, made.made.keyId);
    await settle();
    const { passwords } = foundIn(await graph().read(objectId));
    expect(passwords).toContainEqual(made.made);
  });

  it('whose answer is lost fails; done again, it is done', async () => {
    const made = await graph().addPassword(objectId, aPassword());
    if (typeof made === 'string') throw new Error(`addPassword was refused: ${made}.`);
    const { keyId } = made.made;
    await settle();
    await azure.fault({ service: 'graph', match: 'removePassword', commitThenDrop: true, times: 1 });
    await expect(graph().removePassword(objectId, keyId)).rejects.toMatchObject(upstreamError({ kind: 'unavailable' }));
    await expect(graph().removePassword(objectId, keyId)).resolves.toBeUndefined();
    expect(await existing()).not.toContain(keyId);
  });
});
