import { parsePolicy } from '../../src/config/policy.ts';

/** A policy that uses every kind of entry; tests change one line of it. */
export const goodPolicy = `issuers:
  contoso: { entraTenant: 11111111-1111-4111-8111-111111111111, audience: [api://broker, broker] }
operators:
  - { issuer: contoso, class: app, roles: [Operator] }
identities:
  reader: { use: fetch, managedIdentity: { clientId: c0000000-0000-4000-8000-000000000001 } }
  runner: { use: issue, managedIdentity: {} }
  trainer:
    use: issue
    servicePrincipal:
      tenantId: 11111111-1111-4111-8111-111111111111
      clientId: d0000000-0000-4000-8000-000000000001
      secret: trainer-password
workspaces:
  prod: { subscription_id: 00000000-0000-4000-8000-00000000000a, resource_group: ml, workspace_name: ml-prod, fetch: reader }
  dev: { subscription_id: 00000000-0000-4000-8000-00000000000a, resource_group: ml, workspace_name: ml-dev }
grants:
  scores:
    caller: { issuer: contoso, class: app, oid: e0000000-0000-4000-8000-0000000000f1 }
    allow:
      - { endpointToken: prod/fraud-* }
      - { endpointKey: prod/fraud-* }
    maxLifetime: 24h
  trains:
    caller: { issuer: contoso, class: app, roles: [Train], claims: { xms_mirid: one } }
    allow:
      - { workspace: prod, audience: aml, identity: trainer }
    maxLifetime: 90m
deny:
  - { issuer: contoso, class: app, oid: e0000000-0000-4000-8000-0000000000f2 }
rotations:
  trainer-password:
    tenantId: 11111111-1111-4111-8111-111111111111
    clientId: d0000000-0000-4000-8000-000000000001
    application: d0000000-0000-4000-8000-0000000000a1
    rotateEvery: 30d
    lifetime: 60d
    overlap: 20s
  fraud-keys: { endpointKeys: prod/Fraud-Scorer, rotateEvery: 7d }
`;

/** Marks the lines that a test planted; a comment, so that the policy means the same with it. */
const MARK = '#!';

/**
 * Replaces one text of the good policy by another, of which the line to be named ends in `#!`.
 *
 * @returns the text, and the numbers of the marked lines
 */
export function plant(...changes: (readonly [original: string, planted: string])[]): { text: string; lines: number[] } {
  let text = goodPolicy;
  for (const [original, planted] of changes) {
    if (text.split(original).length !== 2) throw new Error(`${original} is not there exactly once`);
    text = text.replace(original, () => planted);
  }
  const lines = text.split('\n').flatMap((line, index) => (line.includes(MARK) ? [index + 1] : []));
  return { text, lines };
}

export function problemsOf(text: string): string[] {
  const parsed = parsePolicy(text);
  return parsed.ok ? [] : parsed.problems;
}
