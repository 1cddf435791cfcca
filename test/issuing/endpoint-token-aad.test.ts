import { describe, expect, it } from 'vitest';
import type { PolicyDocument } from '../../src/config/policy-schema.ts';
import { aCaller, anEndpoint, aPolicy, upstream } from '../support/builders.ts';
import { createMemoryBroker, scopes } from '../support/memory-broker.ts';
import { rejectionOf } from '../support/ports.ts';

const request = { caller: aCaller(), correlationId: 'correlation-1', minRemainingSeconds: undefined };
const target = { kind: 'endpointToken', workspace: 'prod', endpoint: 'fraud-aad' } as const;
const caller = { issuer: 'contoso', class: 'app' };
const without = { caller, allow: [{ endpointToken: 'prod/fraud-*' }], maxLifetime: '25h' };
const through = { ...without, allow: [{ endpointToken: 'prod/fraud-aad', identity: 'trainer' }] };
const granting = (grants: object): PolicyDocument => aPolicy({ grants });

describe('a token for an endpoint in aad_token mode', () => {
  it('P3: is an Entra token for the Azure ML audience of the identity that the entry names, in the shape of any other', async () => {
    const broker = createMemoryBroker(granting({ through }));
    const answer = await broker.issueEndpointToken({ ...request, target });
    expect(answer).toEqual({
      accessToken: broker.entra.issued[0]?.accessToken,
      tokenType: 'Bearer',
      expiresOn: broker.time.in(3600),
      refreshBy: broker.time.in(1800),
      scoringUri: anEndpoint({ name: 'fraud-aad' }).scoringUri,
      authMode: 'aad_token',
      stale: false,
    });
    expect(broker.entra.calls).toEqual([`trainer ${scopes.aml}`]);
    expect(broker.machineLearning.calls).toEqual(['getEndpoint fraud-aad']);
    expect(broker.records()).toEqual([
      expect.objectContaining({
        decision: 'issued',
        grant: 'through',
        identity: 'trainer',
        expiresOn: answer.expiresOn,
      }),
    ]);
  });

  it('is wrong_auth_mode where no grant names an identity: never one that another grant or workspace uses', async () => {
    const broker = createMemoryBroker(
      granting({
        without,
        trains: { ...without, allow: [{ workspace: 'prod', audience: 'aml', identity: 'trainer' }] },
        dev: { ...without, allow: [{ endpointToken: 'dev/*', identity: 'trainer' }] },
        parked: { ...through, suspended: true },
        others: { ...through, caller: { ...caller, roles: ['Other'] } },
      }),
    );
    expect(await rejectionOf(broker.issueEndpointToken({ ...request, target }))).toMatchObject({
      code: 'wrong_auth_mode',
      detail: expect.stringContaining('add identity:'),
      members: { authMode: 'aad_token' },
    });
    expect(broker.entra.calls).toEqual([]);
    expect(broker.records()).toEqual([
      expect.objectContaining({ decision: 'refused', code: 'wrong_auth_mode', grant: 'without' }),
    ]);
  });

  it('comes by the first entry that names an identity, also after one for endpoints’ own tokens', async () => {
    const allow = [...without.allow, ...through.allow];
    const broker = createMemoryBroker(granting({ both: { ...without, allow } }));
    expect(await broker.issueEndpointToken({ ...request, target })).toMatchObject({ authMode: 'aad_token' });
    const own = { ...target, endpoint: 'fraud-aml' };
    expect(await broker.issueEndpointToken({ ...request, target: own })).toMatchObject({ authMode: 'aml_token' });
  });

  it('P3: is held to the limit of the grant that it came by, and that one goes on record', async () => {
    const limited = createMemoryBroker(granting({ without, through: { ...through, maxLifetime: '59m' } }));
    expect(await rejectionOf(limited.issueEndpointToken({ ...request, target }))).toMatchObject({
      code: 'lifetime_exceeds_grant',
    });
    expect(limited.records()).toEqual([expect.objectContaining({ decision: 'refused', grant: 'through' })]);

    const wide = createMemoryBroker(granting({ without: { ...without, maxLifetime: '59m' }, through }));
    await wide.issueEndpointToken({ ...request, target });
    expect(wide.records()).toEqual([expect.objectContaining({ decision: 'issued', grant: 'through' })]);
  });

  it('is refused on Kubernetes, which Azure ML does not serve this mode on, without asking Entra', async () => {
    const broker = createMemoryBroker(granting({ through }));
    broker.machineLearning.endpoints.set('ml-prod', [
      anEndpoint({ name: 'fraud-aad', kind: 'kubernetes', authMode: 'aad_token' }),
    ]);
    expect(await rejectionOf(broker.issueEndpointToken({ ...request, target }))).toMatchObject({
      code: 'wrong_auth_mode',
      detail: expect.stringContaining('Kubernetes'),
      members: { authMode: 'aad_token' },
    });
    expect(broker.entra.calls).toEqual([]);
    expect(await broker.listWorkspaces(aCaller(), 'correlation-1')).toEqual([
      { name: 'prod', audiences: [], endpoints: [{ name: 'fraud-aad', token: false, key: false }] },
    ]);
  });

  it('is served from the endpoint’s last known description while Azure ML is out of reach, and not stale for that', async () => {
    const broker = createMemoryBroker(granting({ through }));
    const first = await broker.issueEndpointToken({ ...request, target });
    broker.machineLearning.fault = upstream('unavailable');
    broker.time.advance(1799);
    expect(await broker.issueEndpointToken({ ...request, target })).toEqual(first);
  });

  it('P4: says that it is stale where it is past its refreshBy and Entra cannot be asked', async () => {
    const broker = createMemoryBroker(granting({ through }));
    const first = await broker.issueEndpointToken({ ...request, target });
    broker.entra.fault = upstream('unavailable', { service: 'entra' });
    broker.time.advance(1801);
    expect(await broker.issueEndpointToken({ ...request, target })).toMatchObject({
      accessToken: first.accessToken,
      expiresOn: first.expiresOn,
      stale: true,
    });
  });

  it('P7: is identity_not_ready where the identity cannot sign in', async () => {
    const broker = createMemoryBroker(granting({ through }));
    broker.entra.fault = upstream('credential_refused', { service: 'entra' });
    expect(await rejectionOf(broker.issueEndpointToken({ ...request, target }))).toMatchObject({
      code: 'identity_not_ready',
    });
  });

  it('is listed as a token for those only whom a grant gives an identity for it', async () => {
    const tokens = async (grants: object) => {
      const [prod] = await createMemoryBroker(granting(grants)).listWorkspaces(aCaller(), 'correlation-1');
      return prod?.endpoints.find(({ name }) => name === 'fraud-aad')?.token;
    };
    expect(await tokens({ without })).toBe(false);
    expect(await tokens({ through })).toBe(true);
    expect(await tokens({ without, through })).toBe(true);
  });
});

describe('a mode that was changed', () => {
  const LOOK_SECONDS = 10;
  const modes = ['aml_token', 'aad_token', 'key'] as const;
  const changes = modes.flatMap((before) => modes.filter((after) => after !== before).map((after) => [before, after]));
  const routes = granting({
    all: { ...through, allow: [...through.allow, { endpointKey: 'prod/fraud-*' }] },
  });

  it.each(changes)(
    'from %s to %s gives the old mode’s credential no longer than to the next look',
    async (...modes) => {
      const [before = '', after = ''] = modes;
      const broker = createMemoryBroker(routes);
      const key = { ...target, kind: 'endpointKey' } as const;
      const ask = {
        aml_token: () => broker.issueEndpointToken({ ...request, target }),
        aad_token: () => broker.issueEndpointToken({ ...request, target }),
        key: () => broker.issueEndpointKey({ ...request, target: key }),
      };
      const set = (authMode: string) => {
        const mode = authMode === 'key' || authMode === 'aad_token' ? authMode : 'aml_token';
        broker.machineLearning.endpoints.set('ml-prod', [anEndpoint({ name: 'fraud-aad', authMode: mode })]);
        return mode;
      };
      const old = set(before);
      const first = await ask[old]();
      const now = set(after);
      broker.time.advance(LOOK_SECONDS);
      if (old === 'key' || now === 'key') {
        expect(await rejectionOf(ask[old]())).toMatchObject({ code: 'wrong_auth_mode', members: { authMode: now } });
      } else {
        const next = await broker.issueEndpointToken({ ...request, target });
        expect(next.authMode).toBe(now);
        expect(first).not.toMatchObject({ accessToken: next.accessToken });
      }
      expect(await ask[now]()).toBeDefined();
    },
  );

  it('is found by an endpoint made anew under the name: its own token after the next look, never the old one’s', async () => {
    const broker = createMemoryBroker(routes);
    broker.machineLearning.endpoints.set('ml-prod', [anEndpoint({ name: 'fraud-aad' })]);
    const first = await broker.issueEndpointToken({ ...request, target });
    broker.machineLearning.endpoints.set('ml-prod', [
      anEndpoint({ name: 'fraud-aad', createdAt: '2026-11-22T09:59:00.000Z' }),
    ]);
    broker.time.advance(LOOK_SECONDS - 0.001);
    expect(await broker.issueEndpointToken({ ...request, target })).toEqual(first);
    broker.time.advance(0.001);
    const next = await broker.issueEndpointToken({ ...request, target });
    expect(next.accessToken).not.toBe(first.accessToken);
    broker.machineLearning.fault = upstream('unavailable');
    broker.time.advance(LOOK_SECONDS);
    expect((await broker.issueEndpointToken({ ...request, target })).accessToken).toBe(next.accessToken);
  });
});
