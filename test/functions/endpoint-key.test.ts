import { describe, expect, it } from 'vitest';
import { anEndpoint } from '../support/builders.ts';
import { expectGood, setUp } from './functions-in-memory.ts';
import { aPost, invoke } from './invoke.ts';

describe('POST /workspaces/{workspace}/endpoints/{endpoint}/key', () => {
  const path = { workspace: 'prod', endpoint: 'fraud-scorer' };

  it('answers with key, keyName, validUntil and scoringUri', async () => {
    const answer = await invoke(setUp().endpointKey, aPost(path));
    expectGood(answer);
    expect(answer.body).toEqual({
      key: 'primary-key-of-fraud-scorer',
      keyName: 'primary',
      validUntil: null,
      scoringUri: anEndpoint({ name: 'fraud-scorer' }).scoringUri,
    });
  });

  it('409 wrong_auth_mode, naming /token, for an endpoint in aml_token mode', async () => {
    const answer = await invoke(setUp().endpointKey, aPost({ ...path, endpoint: 'fraud-aml' }));
    expect(answer.status).toBe(409);
    expect(answer.body).toMatchObject({
      code: 'wrong_auth_mode',
      authMode: 'aml_token',
      detail: expect.stringContaining('/token'),
    });
  });

  it('400 invalid_request for minRemaining: keys have no life of their own', async () => {
    const answer = await invoke(setUp().endpointKey, aPost(path, { minRemaining: 60 }));
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: 'invalid_request' });
  });

  it('403 not_granted without a grant for keys', async () => {
    const answer = await invoke(setUp().endpointKey, aPost({ ...path, endpoint: 'churn-aml' }));
    expect(answer.status).toBe(403);
    expect(answer.body).toMatchObject({ code: 'not_granted' });
  });
});
