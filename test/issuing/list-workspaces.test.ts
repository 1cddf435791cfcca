import { describe, expect, it } from 'vitest';
import { aCaller, aPolicy, upstream } from '../support/builders.ts';
import { createMemoryBroker } from '../support/memory-broker.ts';
import { rejectionOf } from '../support/ports.ts';

const caller = { issuer: 'contoso', class: 'app' };

describe('listWorkspaces', () => {
  it('tells what the caller may obtain and nothing about the rest', async () => {
    const { listWorkspaces } = createMemoryBroker();
    expect(await listWorkspaces(aCaller(), 'correlation-1')).toEqual([
      {
        name: 'prod',
        audiences: ['aml'],
        endpoints: [
          { name: 'fraud-aad', token: false, key: false },
          { name: 'fraud-aml', token: true, key: false },
          { name: 'fraud-scorer', token: false, key: true },
        ],
      },
    ]);
  });

  it('tells a stranger nothing', async () => {
    const { listWorkspaces } = createMemoryBroker();
    const stranger = aCaller({ objectId: 'e0000000-0000-4000-8000-0000000000ff' });
    expect(await listWorkspaces(stranger, 'correlation-1')).toEqual([]);
  });

  it('P1: refuses a caller who is cut off, asks nothing, and records it', async () => {
    const { listWorkspaces, machineLearning, records } = createMemoryBroker(aPolicy({ deny: [caller] }));
    expect(await rejectionOf(listWorkspaces(aCaller(), 'correlation-1'))).toMatchObject({ code: 'caller_denied' });
    expect(machineLearning.calls).toEqual([]);
    expect(records()).toEqual([
      expect.objectContaining({
        decision: 'refused',
        code: 'caller_denied',
        reason: 'denied',
        target: 'workspaces',
        correlationId: 'correlation-1',
        caller: expect.objectContaining({ objectId: aCaller().objectId }),
      }),
    ]);
  });

  it('lists workspaces in the order of the policy and audiences in one order', async () => {
    const { listWorkspaces } = createMemoryBroker(
      aPolicy({
        grants: {
          all: {
            caller,
            allow: [
              { endpointToken: 'dev/*' },
              { workspace: 'prod', audience: 'arm', identity: 'trainer' },
              { workspace: 'prod', audience: 'aml', identity: 'trainer' },
            ],
            maxLifetime: '25h',
          },
        },
      }),
    );
    expect(await listWorkspaces(aCaller(), 'correlation-1')).toEqual([
      { name: 'prod', audiences: ['aml', 'arm'], endpoints: [] },
      { name: 'dev', audiences: [], endpoints: [{ name: 'dev-aml', token: true, key: false }] },
    ]);
  });

  it('leaves out a suspended grant', async () => {
    const { listWorkspaces } = createMemoryBroker(
      aPolicy({
        grants: {
          parked: { caller, allow: [{ endpointToken: 'prod/*' }], maxLifetime: '25h', suspended: true },
        },
      }),
    );
    expect(await listWorkspaces(aCaller(), 'correlation-1')).toEqual([]);
  });

  it('says false for what the endpoint’s mode does not give, however much is granted', async () => {
    const { listWorkspaces } = createMemoryBroker(
      aPolicy({
        grants: {
          all: {
            caller,
            allow: [{ endpointToken: 'prod/*' }, { endpointKey: 'prod/*' }],
            maxLifetime: '25h',
          },
        },
      }),
    );
    const [prod] = await listWorkspaces(aCaller(), 'correlation-1');
    expect(prod?.endpoints).toEqual([
      { name: 'churn-aml', token: true, key: false },
      { name: 'fraud-aad', token: false, key: false },
      { name: 'fraud-aml', token: true, key: false },
      { name: 'fraud-scorer', token: false, key: true },
    ]);
  });

  it('reads the endpoints of a workspace once, and of no workspace that no grant reaches', async () => {
    const { listWorkspaces, machineLearning } = createMemoryBroker();
    await listWorkspaces(aCaller(), 'correlation-1');
    machineLearning.fault = upstream('unavailable');
    expect(await listWorkspaces(aCaller(), 'correlation-1')).toHaveLength(1);
    expect(machineLearning.calls).toEqual(['listEndpoints ml-prod']);
  });

  it('asks Azure ML nothing about workspaces of which only others may have endpoints', async () => {
    const { listWorkspaces, machineLearning } = createMemoryBroker(
      aPolicy({
        grants: {
          theirs: { caller: { ...caller, roles: ['Other'] }, allow: [{ endpointToken: 'prod/*' }], maxLifetime: '25h' },
          parked: { caller, allow: [{ endpointToken: 'prod/*' }], maxLifetime: '25h', suspended: true },
          trains: { caller, allow: [{ workspace: 'prod', audience: 'aml', identity: 'trainer' }], maxLifetime: '25h' },
          ours: { caller, allow: [{ endpointKey: 'dev/*' }], maxLifetime: '25h' },
        },
      }),
    );
    expect(await listWorkspaces(aCaller(), 'correlation-1')).toEqual([
      { name: 'prod', audiences: ['aml'], endpoints: [] },
      { name: 'dev', audiences: [], endpoints: [{ name: 'dev-aml', token: false, key: false }] },
    ]);
    expect(machineLearning.calls).toEqual(['listEndpoints ml-dev']);
  });

  it('goes on with the endpoints as last seen while Azure ML is out of reach', async () => {
    const { listWorkspaces, machineLearning, time } = createMemoryBroker();
    const before = await listWorkspaces(aCaller(), 'correlation-1');
    machineLearning.fault = upstream('unavailable');
    time.advance(3600);
    expect(await listWorkspaces(aCaller(), 'correlation-1')).toEqual(before);
  });

  it('P7: tells that Azure ML is out of reach when it never could be read', async () => {
    const { listWorkspaces, machineLearning } = createMemoryBroker();
    machineLearning.fault = upstream('unavailable');
    expect(await rejectionOf(listWorkspaces(aCaller(), 'correlation-1'))).toBe(machineLearning.fault);
  });
});
