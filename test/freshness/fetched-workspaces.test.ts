import { expect, it } from 'vitest';
import { fetchedWorkspaces } from '../../src/freshness/fetched-workspaces.ts';
import { aWorkspace } from '../support/builders.ts';

it('fetched workspaces are those with a fetch identity, by their names in the policy', () => {
  const prod = aWorkspace();
  const dev = aWorkspace({ workspace_name: 'ml-dev', fetch: 'other-reader' });
  const { fetch: _, ...lab } = aWorkspace({ workspace_name: 'ml-lab' });
  expect([...fetchedWorkspaces({ prod, lab, dev })]).toEqual([
    ['prod', { name: 'prod', workspace: prod, identity: 'reader' }],
    ['dev', { name: 'dev', workspace: dev, identity: 'other-reader' }],
  ]);
});
