import { describe, expect, it } from 'vitest';
import { aCaller, aPolicy, upstream } from '../support/builders.ts';
import { createMemoryBroker } from '../support/memory-broker.ts';
import { rejectionOf } from '../support/ports.ts';

const caller = { issuer: 'contoso', class: 'app' };

describe('listWorkspaces', () => {
  it('tells what the caller may obtain and nothing about the rest', async () => {
    const { listWorkspaces } = createMemoryBroker();
    expect(await listWorkspaces(aCaller())).toEqual([
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
    expect(await listWorkspaces(stranger)).toEqual([]);
  });

  it('refuses a caller who is cut off', async () => {
    const { listWorkspaces, machineLearning } = createMemoryBroker(aPolicy({ deny: [caller] }));
    expect(await rejectionOf(listWorkspaces(aCaller()))).toMatchObject({ code: 'caller_denied' });
    expect(machineLearning.calls).toEqual([]);
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
    expect(await listWorkspaces(aCaller())).toEqual([
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
    expect(await listWorkspaces(aCaller())).toEqual([]);
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
    const [prod] = await listWorkspaces(aCaller());
    expect(prod?.endpoints).toEqual([
      { name: 'churn-aml', token: true, key: false },
      { name: 'fraud-aad', token: false, key: false },
      { name: 'fraud-aml', token: true, key: false },
      { name: 'fraud-scorer', token: false, key: true },
    ]);
  });

  it('reads the endpoints of a workspace once, and of no workspace that no grant reaches', async () => {
    const { listWorkspaces, machineLearning } = createMemoryBroker();
    await listWorkspaces(aCaller());
    machineLearning.fault = upstream('unavailable');
    expect(await listWorkspaces(aCaller())).toHaveLength(1);
    expect(machineLearning.calls).toEqual(['listEndpoints ml-prod']);
  });

  it('P7: tells that Azure ML is out of reach when it never could be read', async () => {
    const { listWorkspaces, machineLearning } = createMemoryBroker();
    machineLearning.fault = upstream('unavailable');
    expect(await rejectionOf(listWorkspaces(aCaller()))).toBe(machineLearning.fault);
  });
});
