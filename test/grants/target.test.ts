import { expect, it } from 'vitest';
import { nameTarget } from '../../src/grants/target.ts';

it('names every kind of target in words, for audit rows and log lines', () => {
  const endpoint = { workspace: 'prod', endpoint: 'fraud-aml' };
  expect(nameTarget({ kind: 'workspaceToken', workspace: 'prod', audience: 'arm' })).toBe('prod arm token');
  expect(nameTarget({ kind: 'endpointToken', ...endpoint })).toBe('prod/fraud-aml token');
  expect(nameTarget({ kind: 'endpointKey', ...endpoint })).toBe('prod/fraud-aml key');
});
