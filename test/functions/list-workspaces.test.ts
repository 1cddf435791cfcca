import { describe, expect, it } from 'vitest';
import { aPolicy } from '../support/builders.ts';
import { expectGood, setUp } from './functions-in-memory.ts';
import { aGet, invoke } from './invoke.ts';

describe('GET /workspaces', () => {
  it('answers with what the caller may obtain', async () => {
    const answer = await invoke(setUp().listWorkspaces, aGet);
    expectGood(answer);
    expect(answer.body).toEqual({
      workspaces: [
        {
          name: 'prod',
          audiences: ['aml'],
          endpoints: [
            { name: 'fraud-aad', token: false, key: false },
            { name: 'fraud-aml', token: true, key: false },
            { name: 'fraud-scorer', token: false, key: true },
          ],
        },
      ],
    });
  });

  it('403 caller_denied for a caller who is cut off', async () => {
    const answer = await invoke(setUp(aPolicy({ deny: [{ issuer: 'contoso', class: 'app' }] })).listWorkspaces, aGet);
    expect(answer.status).toBe(403);
    expect(answer.body).toMatchObject({ code: 'caller_denied' });
  });
});
