import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../src/errors.ts';
import { refreshEndpointTokens } from '../../src/functions/refresh-endpoint-tokens.ts';
import { rotateSecrets } from '../../src/functions/rotate-secrets.ts';
import { rejectionOf } from '../support/ports.ts';
import { aContext } from './invoke.ts';

const timer = {
  schedule: { adjustForDST: false },
  scheduleStatus: { last: '', next: '', lastUpdated: '' },
  isPastDue: false,
};

describe('timer refreshEndpointTokens', () => {
  it.each([
    ['nothing after a round without work', { refreshed: 0, failed: 0 }, []],
    ['the round’s count', { refreshed: 2, failed: 0 }, [/^information .*"refreshed":2,"failed":0/]],
    ['a warning when something failed', { refreshed: 1, failed: 3 }, [/^warning .*"refreshed":1,"failed":3/]],
  ])('logs %s', async (_what, outcome, expected) => {
    const lines: string[] = [];
    await refreshEndpointTokens(async () => ({ refresh: async () => outcome }))(timer, aContext(lines));
    expect(lines).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
  });

  it('fails loudly with a broken config', async () => {
    const handler = refreshEndpointTokens(() => Promise.reject(new BrokerError('config_invalid')));
    expect(await rejectionOf(Promise.resolve(handler(timer, aContext([]))))).toMatchObject({ code: 'config_invalid' });
  });
});

describe('timer rotateSecrets', () => {
  it('runs one round of the rotator', async () => {
    let rounds = 0;
    const rotatorRound = async () => {
      rounds += 1;
    };
    await rotateSecrets(async () => ({ rotatorRound }))(timer, aContext([]));
    expect(rounds).toBe(1);
  });

  it('fails when the round fails, so that the host shows a failed run', async () => {
    const failure = new BrokerError('upstream_unavailable');
    const handler = rotateSecrets(async () => ({ rotatorRound: () => Promise.reject(failure) }));
    expect(await rejectionOf(Promise.resolve(handler(timer, aContext([]))))).toBe(failure);
  });
});
