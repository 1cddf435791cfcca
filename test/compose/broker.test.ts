import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import * as azure from '../../src/azure/index.ts';
import { createBroker } from '../../src/compose/broker.ts';
import { parseSettings } from '../../src/config/settings.ts';
import type { Broker } from '../../src/triggers.ts';
import { startAzure, type TestAzure } from '../integration/azure.ts';
import { sandboxPolicy } from '../support/broker.ts';
import { aCaller } from '../support/builders.ts';
import { createMovableClock, type MovableClock } from '../support/clock.ts';
import { createLogSpy } from '../support/ports.ts';

/** The broker as src/main.ts builds it, in this process, on a policy in a blob and a clock that the tests move. */

let local: TestAzure;
let good = '';
let time: MovableClock;
let lines: string[];
let broker: () => Promise<Broker>;

beforeAll(async () => {
  local = await startAzure({ SANDBOX_POLICY_BLOB: 'on' });
  good = await sandboxPolicy();
});
afterAll(() => local.stop());

const write = (text: string) => local.operate('write-policy', { text });

beforeEach(async () => {
  await write(good);
  // The real time, because tokens of the sandbox are of the real time.
  time = createMovableClock(new Date());
  const spy = createLogSpy();
  lines = spy.lines;
  const settings = parseSettings({
    ...local.brokerSettings(),
    PUBLIC_URL: 'https://broker.example',
    BROKER_ROLE: 'all',
  });
  if (!settings.ok) throw new Error(settings.problems.join());
  broker = await createBroker({
    ...{ azure, settings: settings.value, functionTimeoutSeconds: 600, appFolder: local.folder },
    ...{ clock: time.clock, log: spy.log },
  });
  await (await broker()).health.readiness();
});
afterEach(() => local.reset());

const target = { kind: 'workspaceToken', workspace: 'prod', audience: 'aml' } as const;
const ask = async () =>
  (await broker()).issueWorkspaceToken({
    ...{ caller: aCaller(), target, correlationId: 'one' },
    minRemainingSeconds: undefined,
  });
const partsNow = async () => (await (await broker()).health.readiness()).parts;
const reads = () => local.outcomes('blobs');
const told = (event: string) => lines.filter((line) => line.includes(`"event":"${event}"`));

describe('the policy in a blob', () => {
  it('is read with the broker’s own token, and sent again only when it has changed', async () => {
    await local.reset();
    time.advance(11);
    await ask();
    time.advance(11);
    await ask();
    expect(await reads()).toEqual(['GET 304', 'GET 304']);
    await write(`${good}# changed\n`);
    time.advance(11);
    await ask();
    expect(await reads()).toEqual(['GET 304', 'GET 304', 'GET 200']);
    expect(told('policy_taken')).toHaveLength(2);
  });

  it('P1: a deny entry acts on the next request after 10 s, and no sign-in is repeated', async () => {
    await ask();
    await local.reset();
    await write(`${good}\ndeny: [{ issuer: contoso, class: app, oid: ${aCaller().objectId} }]\n`);
    time.advance(10);
    await expect(ask()).rejects.toMatchObject({ code: 'caller_denied' });
    await write(good);
    time.advance(10);
    await expect(ask()).resolves.toMatchObject({ audience: 'aml' });
    expect(await local.calls('entra')).toEqual([]);
    expect((await local.calls('managedIdentity')).length).toBe(0);
  });

  it('P1: suspended: true acts on the next request after 10 s', async () => {
    await write(good.replaceAll(/^( {4}maxLifetime: 90m)$/gm, '$1\n    suspended: true'));
    await expect(ask()).resolves.toMatchObject({ audience: 'aml' });
    time.advance(10);
    await expect(ask()).rejects.toMatchObject({ code: 'not_granted', reason: 'grant_suspended' });
  });

  it('P3: an identity that means something else is asked for anew: its old tokens are forgotten', async () => {
    const { accessToken } = await ask();
    expect((await ask()).accessToken).toBe(accessToken);
    await write(good.replace('  trainer:\n', '  trainer:\n    sharedBy: [prod, dev]\n'));
    time.advance(10);
    expect((await ask()).accessToken).not.toBe(accessToken);
  });

  it('a broken version is refused loudly, once, and the last good one stays in force', async () => {
    await write(`${good}\ndenied: []\n`);
    for (let look = 0; look < 3; look++) {
      time.advance(10);
      await expect(ask()).resolves.toMatchObject({ audience: 'aml' });
    }
    const line = good.split('\n').length + 1;
    expect(told('config_problem')).toEqual([
      `error {"event":"config_problem","problem":"line ${line}: denied: is not a known key"}`,
    ]);
    expect(told('policy_refused')).toHaveLength(1);
    expect(await partsNow()).toMatchObject({ policy: 'degraded' });
    await write(good);
    time.advance(10);
    expect(await partsNow()).toMatchObject({ policy: 'ok' });
  });

  it.each<[what: string, gone: () => Promise<unknown>]>([
    ['gone', () => local.operate('delete-policy', {})],
    ['out of reach', () => local.fault({ service: 'blobs', status: 503, retryAfterSeconds: 7 })],
    ['closed to the broker', () => local.fault({ service: 'blobs', status: 403 })],
    ['cut off', () => local.fault({ service: 'blobs', commitThenDrop: true })],
  ])(
    '%s: it serves for 5 minutes, degraded, then 503 policy_unavailable; and again when it is back',
    async (_what, gone) => {
      await gone();
      time.advance(290);
      await expect(ask()).resolves.toMatchObject({ audience: 'aml' });
      expect(await partsNow()).toMatchObject({ policy: 'degraded' });
      expect(told('policy_unread')).toHaveLength(1);
      time.advance(10);
      await expect(ask()).rejects.toMatchObject({
        ...{ name: 'BrokerError', code: 'policy_unavailable', status: 503 },
        retryAfterSeconds: expect.any(Number),
      });
      await local.clearFaults();
      await write(good);
      time.advance(3);
      await expect(ask()).resolves.toMatchObject({ audience: 'aml' });
    },
  );

  it('an identity that cannot be used reads degraded, and is forgotten once it has left the policy', async () => {
    const stranger = '{ use: issue, managedIdentity: { clientId: 99999999-0000-4000-8000-000000000000 } }';
    await write(good.replace('identities:\n', `identities:\n  stranger: ${stranger}\n`));
    time.advance(10);
    await expect.poll(partsNow).toMatchObject({ policy: 'ok', identities: 'degraded' });
    await write(good);
    time.advance(10);
    await expect.poll(partsNow).toMatchObject({ identities: 'ok' });
  });

  it('P2: nothing of the token that reads it is logged', async () => {
    await local.fault({ service: 'blobs', status: 401 });
    time.advance(11);
    await ask();
    expect(told('policy_unread').join()).toContain('policy blob: credential_refused (401');
    expect(lines.join('\n')).not.toMatch(/eyJ[\w-]{10}/);
  });
});

describe('callers’ tokens', () => {
  /** Of this token alone: the sandbox checks tokens in this process too. */
  const countChecks = (token: string) => {
    const spy = vi.spyOn(crypto.subtle, 'verify');
    const signed = token.slice(0, token.lastIndexOf('.'));
    const isOfIt = (data: unknown) => data instanceof Uint8Array && Buffer.from(data).toString() === signed;
    return () => spy.mock.calls.filter(([, , , data]) => isOfIt(data)).length;
  };
  afterEach(() => vi.restoreAllMocks());

  it('a forged one costs one signature check, however often it comes', async () => {
    const [head = '', signature = ''] = (await local.callerToken()).split(/\.(?=[^.]*$)/);
    const forged = `${head}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
    const { verifyCaller } = await broker();
    const checks = countChecks(forged);
    for (let time = 0; time < 5; time++) {
      await expect(verifyCaller(forged)).rejects.toMatchObject({ code: 'invalid_token', reason: 'signature' });
    }
    expect(checks()).toBe(1);
  });

  it('a good one is checked once, and once more under another policy', async () => {
    const token = await local.callerToken();
    const checks = countChecks(token);
    const look = async () => (await broker()).verifyCaller(token);
    await look();
    time.advance(11);
    await look();
    expect(checks()).toBe(1);
    await write(`${good}# changed\n`);
    time.advance(11);
    expect(await look()).toMatchObject({ objectId: aCaller().objectId });
    expect(checks()).toBe(2);
  });
});
