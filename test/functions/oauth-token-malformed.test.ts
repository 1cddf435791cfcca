import { describe, expect, it } from 'vitest';
import { malformedTokenRequests } from '../support/malformed-token-requests.ts';
import { invocationId, invoke } from './invoke.ts';
import { setUp, tokenWorld } from './oauth-in-memory.ts';

const requests = malformedTokenRequests(tokenWorld);

describe('a malformed token request', () => {
  it('is tried in well over 60 ways, no two alike', () => {
    expect(requests.length).toBeGreaterThan(100);
    expect(new Set(requests.map(({ name }) => name)).size).toBe(requests.length);
  });

  it.each(requests)('$name → $status $error', async ({ tenant, query, headers, body, status, error, reason }) => {
    const world = setUp();
    const length = String(typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength);
    const answer = await invoke(world.token, {
      url: `https://broker.example/oauth2/token${query}`,
      params: tenant === undefined ? {} : { tenant },
      headers: { 'content-length': length, ...headers },
      body: typeof body === 'string' ? { string: body } : { bytes: body },
    });
    expect([answer.status, answer.body]).toEqual([
      status,
      expect.objectContaining({
        error,
        // RFC 6749, section 5.2
        error_description: expect.stringMatching(/^[ !#-[\]-~]{20,}$/),
        correlation_id: invocationId,
      }),
    ]);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('pragma')).toBe('no-cache');
    expect(answer.headers.has('www-authenticate')).toBe(reason === 'authorization_header');
    expect(answer.lines).toHaveLength(1);
    expect(answer.lines[0]).toContain(`"reason":"${reason}"`);

    // P2: nothing that was sent is repeated, in the answer or in a log.
    const shown = answer.text + answer.lines.join() + world.lines.join();
    expect(shown).not.toMatch(/a-secret-that-must-not-be-shown|attacker/);
    for (const part of tokenWorld.token.split('.')) expect(shown).not.toContain(part);
    // P1: nothing was obtained for it.
    expect(world.entra.calls).toEqual([]);
    expect(world.machineLearning.issued).toEqual([]);
    expect(world.records().filter(({ decision }) => decision === 'issued')).toEqual([]);
  });
});
