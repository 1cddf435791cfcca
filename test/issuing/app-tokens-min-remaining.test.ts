import { describe, expect, it } from 'vitest';
import { createAppTokens, type ObtainedToken } from '../../src/issuing/app-tokens.ts';
import { aCaller, aPolicy, upstream } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';
import { createMemoryBroker } from '../support/memory-broker.ts';
import { createLogSpy, rejectionOf } from '../support/ports.ts';

const AML = 'https://ml.azure.com/.default';
const ARM = 'https://management.azure.com/.default';

/** Entra gives tokens of one hour: a quarter of their life is 900 s; they are to be renewed after 1800 s anyway. */
const QUARTER = 900;

interface FakeEntra {
  fault: Error | undefined;
  /** A platform’s cache: the same answer again while it is set. */
  cached: ObtainedToken | undefined;
}

function setUp() {
  const time = createMovableClock();
  const { log } = createLogSpy();
  const calls: string[] = [];
  const entra: FakeEntra = { fault: undefined, cached: undefined };
  const appToken = createAppTokens({
    identities: ['trainer'],
    clock: time.clock,
    log,
    async obtain(identity, scope) {
      calls.push(scope);
      if (entra.fault !== undefined) throw entra.fault;
      const token = { accessToken: `token-${calls.length}`, expiresOn: time.in(3600), refreshBy: undefined };
      return entra.cached ?? { ...token, accessToken: `${token.accessToken} of ${identity}` };
    },
  });
  return { time, entra, appToken, calls };
}

describe('a caller who wants more life than an app token in hand has left', () => {
  it('brings the next one forward, once a quarter of the token’s life has passed', async () => {
    const { appToken, calls, time } = setUp();
    const first = await appToken('trainer', AML);
    time.advance(QUARTER - 0.001);
    expect(await appToken('trainer', AML, 3600)).toEqual(first);
    time.advance(0.001);
    expect(await appToken('trainer', AML, 2701)).toMatchObject({ expiresOn: time.in(3600) });
    expect(calls).toHaveLength(2);
  });

  it('does not where the token in hand has enough left, nor by a token of another scope', async () => {
    const { appToken, calls, time } = setUp();
    const first = await appToken('trainer', AML);
    time.advance(QUARTER);
    await appToken('trainer', ARM, 3600);
    expect(await appToken('trainer', AML, 2700)).toEqual(first);
    expect(calls).toEqual([AML, ARM]);
  });

  it('costs one call for 100 who ask at once', async () => {
    const { appToken, calls, time } = setUp();
    await appToken('trainer', AML);
    time.advance(QUARTER);
    await Promise.all(Array.from({ length: 100 }, () => appToken('trainer', AML, 3000)));
    expect(calls).toHaveLength(2);
  });

  it('is handed the token in hand while Entra cannot be asked, which keeps its refreshBy', async () => {
    const { appToken, calls, entra, time } = setUp();
    const first = await appToken('trainer', AML);
    time.advance(QUARTER);
    entra.fault = upstream('unavailable');
    for (let minute = 0; minute < 14; minute++) {
      expect(await appToken('trainer', AML, 3600)).toEqual(first);
      time.advance(60);
    }
    expect(calls).toHaveLength(2);
  });

  it('asks a platform that repeats its token once per quarter of the token’s whole life', async () => {
    const { appToken, calls, entra, time } = setUp();
    const { accessToken, expiresOn } = await appToken('trainer', AML);
    entra.cached = { accessToken, expiresOn, refreshBy: time.in(3500) };
    for (let elapsed = 0; elapsed < 3400; elapsed += 10) {
      time.advance(10);
      await appToken('trainer', AML, 3600);
    }
    // At 900, 1800 and 2700 s.
    expect(calls).toHaveLength(4);
  });
});

describe('minRemaining of a workspace token', () => {
  const request = {
    caller: aCaller(),
    correlationId: 'correlation-1',
    target: { kind: 'workspaceToken', workspace: 'prod', audience: 'aml' },
  } as const;

  it('is met by a token obtained ahead of time, or refused with the seconds available: never answered with less', async () => {
    const broker = createMemoryBroker();
    const ask = (minRemainingSeconds: number) => broker.issueWorkspaceToken({ ...request, minRemainingSeconds });
    const first = await ask(0);
    broker.time.advance(QUARTER - 1);
    expect(await rejectionOf(ask(3600))).toMatchObject({
      code: 'insufficient_lifetime',
      members: { secondsAvailable: 2701 },
    });
    expect(broker.entra.calls).toHaveLength(1);
    broker.time.advance(1);
    const second = await ask(3600);
    expect(second.accessToken).not.toBe(first.accessToken);
    expect(await rejectionOf(ask(3601))).toMatchObject({ members: { secondsAvailable: 3600 } });
    expect(broker.entra.calls).toHaveLength(2);
  });

  it('holds for Entra tokens of endpoints in aad_token mode too', async () => {
    const caller = { issuer: 'contoso', class: 'app' };
    const allow = [{ endpointToken: 'prod/fraud-aad', identity: 'trainer' }];
    const broker = createMemoryBroker(aPolicy({ grants: { through: { caller, allow, maxLifetime: '25h' } } }));
    const target = { kind: 'endpointToken', workspace: 'prod', endpoint: 'fraud-aad' } as const;
    const ask = (minRemainingSeconds: number) => broker.issueEndpointToken({ ...request, target, minRemainingSeconds });
    const first = await ask(0);
    broker.time.advance(QUARTER);
    expect((await ask(3600)).accessToken).not.toBe(first.accessToken);
    expect(await rejectionOf(ask(3601))).toMatchObject({ members: { secondsAvailable: 3600 } });
  });

  it('holds for endpoints’ own tokens too', async () => {
    const broker = createMemoryBroker();
    const target = { kind: 'endpointToken', workspace: 'prod', endpoint: 'fraud-aml' } as const;
    const ask = (minRemainingSeconds: number) => broker.issueEndpointToken({ ...request, target, minRemainingSeconds });
    const first = await ask(0);
    broker.time.advance(QUARTER);
    const second = await ask(3600);
    expect(second.accessToken).not.toBe(first.accessToken);
    expect(await rejectionOf(ask(3601))).toMatchObject({
      code: 'insufficient_lifetime',
      members: { secondsAvailable: 3600 },
    });
    expect(broker.machineLearning.issued).toHaveLength(2);
  });
});
