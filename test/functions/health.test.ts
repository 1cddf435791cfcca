import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../src/errors.ts';
import { live, ready } from '../../src/functions/health.ts';
import { createHealth, type Part } from '../../src/health.ts';
import { createMovableClock } from '../support/clock.ts';
import { invoke } from './invoke.ts';

const get = { method: 'GET' };
const allOk = {
  policy: 'ok',
  callerKeys: 'ok',
  auditStore: 'ok',
  tokenStore: 'ok',
  tokenCacheKey: 'ok',
  keyVault: 'ok',
  identities: 'ok',
  machineLearning: 'ok',
};

/** Readiness of a broker of which these parts fail. */
function readyWithout(...failing: Part[]) {
  const probe = (part: Part) => async () => {
    if (failing.includes(part)) throw new Error(`secret detail of ${part}`);
  };
  const health = createHealth({
    clock: createMovableClock().clock,
    probes: {
      policy: probe('policy'),
      callerKeys: probe('callerKeys'),
      auditStore: probe('auditStore'),
      tokenStore: probe('tokenStore'),
      tokenCacheKey: probe('tokenCacheKey'),
      keyVault: probe('keyVault'),
      identities: probe('identities'),
      machineLearning: probe('machineLearning'),
    },
  });
  return invoke(
    ready(async () => ({ health })),
    get,
  );
}

describe('GET /health/live', () => {
  it('200 without a token', async () => {
    const answer = await invoke(live(), get);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({ status: 'ok' });
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });
});

describe('GET /health/ready', () => {
  it('200 ok when every part works, without a token', async () => {
    const answer = await readyWithout();
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({ status: 'ok', parts: allOk });
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });

  it.each<Part>(['policy', 'tokenStore', 'tokenCacheKey', 'keyVault', 'identities', 'machineLearning'])(
    '200 degraded without %s',
    async (part) => {
      const answer = await readyWithout(part);
      expect(answer.status).toBe(200);
      expect(answer.body).toEqual({ status: 'degraded', parts: { ...allOk, [part]: 'degraded' } });
    },
  );

  it.each<Part>(['callerKeys', 'auditStore'])('503 unavailable without %s', async (part) => {
    const answer = await readyWithout(part);
    expect(answer.status).toBe(503);
    expect(answer.body).toEqual({ status: 'unavailable', parts: { ...allOk, [part]: 'degraded' } });
  });

  it('tells no detail that helps an attacker', async () => {
    const answer = await readyWithout('callerKeys', 'identities');
    expect(answer.text + answer.lines.join()).not.toContain('secret detail');
  });

  it('503 config_invalid with a broken config', async () => {
    const answer = await invoke(
      ready(() => Promise.reject(new BrokerError('config_invalid'))),
      get,
    );
    expect(answer.status).toBe(503);
    expect(answer.body).toMatchObject({ code: 'config_invalid' });
  });
});
