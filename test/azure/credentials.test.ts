import { describe, expect, it } from 'vitest';
import { asTokenCredential, createObtainToken } from '../../src/azure/credentials.ts';
import { upstream } from '../support/builders.ts';
import { rejectionOf } from '../support/ports.ts';

const expiresOn = new Date('2026-11-22T11:00:00.000Z');

describe('asTokenCredential', () => {
  it('gives an SDK the broker’s cached token of one identity for the scope that it asks', async () => {
    const asked: string[] = [];
    const credential = asTokenCredential(async (identity, scope) => {
      asked.push(`${identity} ${scope}`);
      return { accessToken: 'the-token', expiresOn, refreshBy: expiresOn };
    }, 'reader');
    const expected = { token: 'the-token', expiresOnTimestamp: expiresOn.getTime() };
    expect(await credential.getToken('https://arm.example/.default')).toEqual(expected);
    expect(await credential.getToken(['https://arm.example/.default'])).toEqual(expected);
    expect(asked).toEqual(['reader https://arm.example/.default', 'reader https://arm.example/.default']);
  });

  it('has nothing for no scope', async () => {
    const credential = asTokenCredential(() => Promise.reject(new Error('must not be asked')), 'reader');
    expect(await credential.getToken([])).toBeNull();
  });

  it('passes a failure through as it is', async () => {
    const failure = upstream('throttled');
    const credential = asTokenCredential(() => Promise.reject(failure), 'reader');
    expect(await rejectionOf(credential.getToken('scope'))).toBe(failure);
  });
});

describe('createObtainToken', () => {
  it.each(['stranger', '', '__proto__', 'constructor', 'toString'])(
    'knows no identity %j that is not in the policy',
    async (name) => {
      const obtain = createObtainToken({
        identities: {},
        authorityHost: 'https://entra.example',
        instanceDiscovery: true,
        readSecret: () => Promise.reject(new Error('must not be asked')),
        getClientAssertion: () => Promise.reject(new Error('must not be asked')),
      });
      expect(await rejectionOf(obtain(name, 'scope'))).toMatchObject({ message: 'the identity is not in the policy' });
    },
  );

  it('tells that the secret of a service principal cannot be read', async () => {
    const failure = upstream('forbidden', { service: 'key vault' });
    const obtain = createObtainToken({
      identities: {
        trainer: { use: 'issue', servicePrincipal: { tenantId: 'tenant', clientId: 'client', secret: 'a-secret' } },
      },
      authorityHost: 'https://entra.example',
      instanceDiscovery: true,
      readSecret: () => Promise.reject(failure),
      getClientAssertion: () => Promise.reject(new Error('must not be asked')),
    });
    expect(await rejectionOf(obtain('trainer', 'scope'))).toBe(failure);
  });
});
