import { expect } from 'vitest';
import { endpointKey } from '../../src/functions/endpoint-key.ts';
import { endpointToken } from '../../src/functions/endpoint-token.ts';
import { listWorkspaces } from '../../src/functions/list-workspaces.ts';
import { workspaceToken } from '../../src/functions/workspace-token.ts';
import { aPolicy } from '../support/builders.ts';
import { createMemoryBroker } from '../support/memory-broker.ts';
import { type Answer, verifyCaller } from './invoke.ts';

/** All four functions on one broker in memory. */
export function setUp(policy = aPolicy()) {
  const operations = createMemoryBroker(policy);
  const broker = async () => ({ ...operations, verifyCaller });
  return {
    ...operations,
    workspaceToken: workspaceToken(broker),
    endpointToken: endpointToken(broker),
    endpointKey: endpointKey(broker),
    listWorkspaces: listWorkspaces(broker),
  };
}

/** 200 with JSON that nobody may keep, and nothing logged. */
export function expectGood(answer: Answer): void {
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toBe('application/json');
  expect(answer.headers.get('cache-control')).toBe('no-store');
  expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  expect(answer.lines).toEqual([]);
}
