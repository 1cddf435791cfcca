import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createGraph } from '../../src/azure/graph.ts';
import { startAzure, type TestAzure, upstreamError } from './azure.ts';

const TRAINER = 'd0000000-0000-4000-8000-0000000000a1';
const NOBODY = 'd0000000-0000-4000-8000-0000000000ff';

let azure: TestAzure;
beforeAll(async () => {
  azure = await startAzure({ SANDBOX_PROPAGATION_SECONDS: '0' });
});
afterAll(() => azure?.stop());
beforeEach(() => azure.reset());

const graph = () =>
  createGraph({
    endpoint: azure.endpoints.graph,
    scope: 'https://graph.microsoft.com/.default',
    credential: {
      getToken: async () => ({
        token: await azure.identityToken('https://graph.microsoft.com'),
        expiresOnTimestamp: Date.now() + 3_600_000,
      }),
    },
  });

const listed = async () => {
  const application = await graph().read(TRAINER);
  return application.kind === 'found' ? application.value.passwords.map(({ keyId }) => keyId) : [];
};

describe('passwords of an application', () => {
  it('R3: are made with a name and an end, shown once with their text, listed without it, and removed by id', async () => {
    const endsOn = new Date('2027-02-01T00:00:00.000Z');
    const displayName = 'aml-token-broker/trainer-password/1';
    const made = await graph().addPassword(TRAINER, { displayName, endsOn });
    if (made === 'lifetime_refused') throw new Error('The sandbox refused the life of the password.');
    expect(made).toMatchObject({ made: { displayName, endsOn }, secretText: expect.stringMatching(/.{16,64}/) });
    const application = await graph().read(TRAINER);
    expect(application).toMatchObject({ kind: 'found', value: { appId: 'd0000000-0000-4000-8000-000000000001' } });
    expect(JSON.stringify(application)).not.toContain(made.secretText);
    expect(await listed()).toContain(made.made.keyId);
    await graph().removePassword(TRAINER, made.made.keyId);
    expect(await listed()).not.toContain(made.made.keyId);
  });

  it('that are gone already count as removed', async () => {
    await graph().removePassword(TRAINER, NOBODY);
  });
});

describe('what Graph refuses is a fact of its own', () => {
  it('an application that is not there, and one that the broker does not own', async () => {
    expect(await graph().read(NOBODY)).toEqual({ kind: 'not_found' });
    expect(await graph().read('e0000000-0000-4000-8000-0000000000a1')).toEqual({ kind: 'forbidden' });
  });

  it('throttled and unavailable are unreadable, never absent', async () => {
    await azure.fault({ service: 'graph', status: 429, retryAfterSeconds: 7 });
    expect(await graph().read(TRAINER)).toEqual({ kind: 'unreadable', retryAfterSeconds: 7 });
    await azure.clearFaults();
    await azure.fault({ service: 'graph', status: 503 });
    expect(await graph().read(TRAINER)).toEqual({ kind: 'unreadable', retryAfterSeconds: undefined });
  });

  it.each([400, 409, 500, 503])('two writes at once (%i) are throttling, to be tried again later', async (status) => {
    await azure.fault({ service: 'graph', match: 'addPassword', status, code: 'Directory_ConcurrencyViolation' });
    const adding = graph().addPassword(TRAINER, { displayName: 'x', endsOn: new Date('2027-02-01T00:00:00.000Z') });
    await expect(adding).rejects.toMatchObject(
      upstreamError({ kind: 'throttled', status, upstreamCode: 'Directory_ConcurrencyViolation' }),
    );
  });

  it('a life that the tenant’s policy does not allow', async () => {
    const code = 'CredentialInvalidLifetimeAsPerAppPolicy';
    await azure.fault({ service: 'graph', match: 'addPassword', status: 400, code });
    const adding = graph().addPassword(TRAINER, { displayName: 'x', endsOn: new Date('2027-02-01T00:00:00.000Z') });
    expect(await adding).toBe('lifetime_refused');
  });
});
