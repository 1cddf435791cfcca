import { describe, expect, it } from 'vitest';
import { plant, problemsOf } from './policy-text.ts';

/** What the policy may say of endpoints in aad_token mode and of web services of SDK v1. */

const trainEntry = '      - { workspace: prod, audience: aml, identity: trainer }';
const tokenEntry = '      - { endpointToken: prod/fraud-* }';
const prod = 'workspace_name: ml-prod, fetch: reader }';

const problemsWith = (...changes: (readonly [string, string])[]) => problemsOf(plant(...changes).text);

describe('the identity of an endpointToken entry', () => {
  it.each(['trainer', 'runner'])('may be any for use: issue (%s)', (identity) => {
    expect(problemsWith([tokenEntry, `      - { endpointToken: prod/fraud-*, identity: ${identity} }`])).toEqual([]);
  });

  it('may be under a limit of less than a day where its tokens live shorter', () => {
    expect(problemsWith([trainEntry, '      - { endpointToken: prod/fraud-aad, identity: trainer }'])).toEqual([]);
  });

  it('is refused under a limit of less than a day where it is a managed identity, whose tokens live that long', () => {
    const planted = plant([trainEntry, '      - { endpointToken: prod/fraud-aad, identity: runner } #!']);
    expect(problemsOf(planted.text)).toEqual([
      `line ${planted.lines[0]}: grants.trains.allow.0.endpointToken: can never meet maxLifetime: endpoint tokens live 24 h`,
    ]);
  });
});

describe('a web service of SDK v1', () => {
  const declaring = (entry: string) =>
    [prod, `workspace_name: ml-prod, fetch: reader, endpoints: ${entry} } #!`] as const;

  it('is declared under its workspace and granted like any endpoint', () => {
    const granted = [tokenEntry, '      - { endpointToken: prod/churn-v1 }'] as const;
    expect(problemsWith(declaring('{ churn-v1: { kind: webService } }'), granted)).toEqual([]);
  });

  it.each([
    ['another kind', '{ churn-v1: { kind: onlineEndpoint } }', 'workspaces.prod.endpoints.churn-v1.kind'],
    ['no kind', '{ churn-v1: {} }', 'workspaces.prod.endpoints.churn-v1.kind'],
    ['an unknown key', '{ churn-v1: { kind: webService, compute: aks } }', 'workspaces.prod.endpoints.churn-v1'],
    ['capital letters, which no service has', '{ Churn: { kind: webService } }', 'workspaces.prod.endpoints'],
    ['a path in its name', '{ "a/b": { kind: webService } }', 'workspaces.prod.endpoints'],
  ])('is refused with %s', (_what, entry, where) => {
    const { text, lines } = plant(declaring(entry));
    const problems = problemsOf(text);
    expect(problems.length).toBeGreaterThan(0);
    expect(problems[0]).toContain(`line ${lines[0]}: ${where}`);
  });
});
