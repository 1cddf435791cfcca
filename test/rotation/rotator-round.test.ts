import { expect, it } from 'vitest';
import { UpstreamError } from '../../src/errors.ts';
import { createRotatorRound } from '../../src/rotation/rotator-round.ts';
import { createLogSpy, rejectionOf } from '../support/ports.ts';

it('does every job of a round although one fails, names the failed one in the log, and fails itself', async () => {
  const { log, lines } = createLogSpy();
  const done: string[] = [];
  const failure = new UpstreamError({ kind: 'unavailable', service: 'audit store' });
  const round = createRotatorRound(
    {
      auditTables: () => Promise.reject(failure),
      secrets: async () => void done.push('secrets'),
      endpointKeys: async () => void done.push('endpointKeys'),
    },
    log,
  );
  expect(await rejectionOf(round())).toBe(failure);
  expect(done).toEqual(['secrets', 'endpointKeys']);
  expect(lines.join()).toContain('"job":"auditTables","error":"audit store: unavailable"');
});
