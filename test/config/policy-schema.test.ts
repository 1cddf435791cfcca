import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { parsePolicy } from '../../src/config/policy.ts';
import { policyJsonSchema } from '../../src/config/policy-schema.ts';
import { renderPolicySchema } from '../../tools/schema.ts';
import { goodPolicy, plant, problemsOf } from './policy-text.ts';

const tenantLine = 'entraTenant: 11111111-1111-4111-8111-111111111111';
const readerLine = '  reader: { use: fetch, managedIdentity: { clientId: c0000000-0000-4000-8000-000000000001 } }';
const runnerLine = '  runner: { use: issue, managedIdentity: {} }';
const devLine =
  '  dev: { subscription_id: 00000000-0000-4000-8000-00000000000a, resource_group: ml, workspace_name: ml-dev }';
const scoresCaller = '    caller: { issuer: contoso, class: app, oid: e0000000-0000-4000-8000-0000000000f1 }';
const trainEntry = '      - { workspace: prod, audience: aml, identity: trainer }';

const matcherWith = (more: string) => `    caller: { issuer: contoso, class: app, ${more} } #!`;

describe('a policy of the wrong shape is refused, with the line', () => {
  it.each([
    ['an unknown key at the top', ['deny:', 'denied: [] #!\ndeny:'], 'denied: is not a known key'],
    ['__proto__ at the top', ['deny:', '__proto__: {} #!\ndeny:'], '__proto__: is not a name'],
    [
      'an unknown key of an issuer',
      ['{ entraTenant', '{ jwks: x, entraTenant'],
      'issuers.contoso.jwks: is not a known key',
    ],
    [
      'an unknown key of a workspace',
      [devLine, devLine.replace('{', '{ region: x,')],
      'workspaces.dev.region: is not a known key',
    ],
    [
      'an unknown key of an identity',
      [runnerLine, '  runner: { use: issue, managedIdentity: {}, password: x }'],
      'identities.runner.password: is not a known key',
    ],
    [
      'an unknown key of a caller',
      [scoresCaller, matcherWith('email: x')],
      'grants.scores.caller.email: is not a known key',
    ],
    [
      'an unknown key of a grant',
      ['    maxLifetime: 90m', '    maxLifetime: 90m\n    note: x #!'],
      'grants.trains.note: is not a known key',
    ],
    [
      'a tenant that is no GUID',
      [tenantLine, 'entraTenant: contoso.onmicrosoft.com'],
      'issuers.contoso.entraTenant: must be a GUID',
    ],
    ['an oid that is no GUID', [scoresCaller, matcherWith('oid: 7')], /^grants\.scores\.caller\.oid: /],
    ['no audience', [', audience: [api://broker, broker]', ''], /^issuers\.contoso\.audience: /],
    ['an empty list of audiences', ['[api://broker, broker]', '[]'], /^issuers\.contoso\.audience: /],
    [
      'the audience of federated credentials',
      ['[api://broker, broker]', 'api://AzureADTokenExchange'],
      /^issuers\.contoso\.audience: is the audience of federated credentials/,
    ],
    [
      'the same audience in a list and in other letters',
      ['[api://broker, broker]', '[broker, API://azureadtokenexchange]'],
      /^issuers\.contoso\.audience[.1]*: is the audience of federated credentials/,
    ],
    [
      'a class that nobody has',
      [scoresCaller, '    caller: { issuer: contoso, class: robot } #!'],
      /^grants\.scores\.caller\.class: /,
    ],
    ['an empty list of roles', [scoresCaller, matcherWith('roles: []')], /^grants\.scores\.caller\.roles: /],
    [
      'a list as a claim',
      [scoresCaller, matcherWith('claims: { groups: [a] }')],
      /^grants\.scores\.caller\.claims\.groups: /,
    ],
    [
      'an identity that is both',
      [
        readerLine,
        '  reader: { use: fetch, managedIdentity: {}, servicePrincipal: { tenantId: 11111111-1111-4111-8111-111111111111, clientId: 11111111-1111-4111-8111-111111111111, secret: a } } #!',
      ],
      'identities.reader: must say exactly one of managedIdentity, servicePrincipal, federated and onBehalfOf',
    ],
    [
      'an identity that is neither',
      [runnerLine, '  runner: { use: issue }'],
      'identities.runner: must say exactly one of managedIdentity, servicePrincipal, federated and onBehalfOf',
    ],
    [
      'an identity for both uses',
      [runnerLine, '  runner: { use: both, managedIdentity: {} }'],
      /^identities\.runner\.use: /,
    ],
    ['an identity without use', [runnerLine, '  runner: { managedIdentity: {} }'], /^identities\.runner\.use: /],
    [
      'a password in the place of a secret’s name',
      ['      secret: trainer-password', '      secret: Ab8~Q#x_ #!'],
      'identities.trainer.servicePrincipal.secret: must be the name of a Key Vault secret, not the secret',
    ],
    [
      'a resource group that is none',
      ['resource_group: ml, workspace_name: ml-dev', 'resource_group: a/b, workspace_name: ml-dev'],
      'workspaces.dev.resource_group: must be the name of a resource group',
    ],
    [
      'a workspace that is none',
      ['workspace_name: ml-dev', 'workspace_name: m'],
      'workspaces.dev.workspace_name: must be the name of an Azure ML workspace',
    ],
    [
      'a name that is no name',
      [runnerLine, '  run_ner: { use: issue, managedIdentity: {} }'],
      /^identities\.run_ner: must be letters, digits and hyphens/,
    ],
    [
      'a name that is a mere number, which has no place in the order of the others',
      [runnerLine, '  7: { use: issue, managedIdentity: {} }'],
      /^identities\.7: must be .*not a mere number/,
    ],
    [
      'a grant’s name that is a mere number',
      ['  trains:\n', '  "10": #!\n'],
      /^grants\.10: must be .*not a mere number/,
    ],
    [
      'an endpoint without workspace',
      ['      - { endpointToken: prod/fraud-* }', '      - { endpointToken: fraud-* } #!'],
      /^grants\.scores\.allow\.0/,
    ],
    [
      'a pattern for workspaces',
      ['      - { endpointToken: prod/fraud-* }', '      - { endpointToken: "*/fraud-*" } #!'],
      /^grants\.scores\.allow\.0/,
    ],
    [
      'a pattern with other wildcards',
      ['      - { endpointToken: prod/fraud-* }', '      - { endpointToken: "prod/fraud-[ab]?" } #!'],
      /^grants\.scores\.allow\.0/,
    ],
    [
      'an entry of two kinds',
      [trainEntry, '      - { workspace: prod, audience: aml, identity: trainer, endpointKey: prod/a } #!'],
      /^grants\.trains\.allow\.0/,
    ],
    [
      'an unknown key of an entry',
      [trainEntry, '      - { workspace: prod, audience: aml, identity: trainer, scope: x } #!'],
      /^grants\.trains\.allow\.0/,
    ],
    ['an audience that no token has', [trainEntry, trainEntry.replace('aml', 'graph')], /^grants\.trains\.allow\.0/],
    [
      'a workspace entry without identity',
      [trainEntry, '      - { workspace: prod, audience: aml } #!'],
      /^grants\.trains\.allow\.0/,
    ],
    ['a grant that allows nothing', [`    allow:\n${trainEntry}`, '    allow: [] #!'], /^grants\.trains\.allow: /],
    ['no maxLifetime', ['    maxLifetime: 90m\n', ''], 'grants.trains.maxLifetime: is missing'],
    [
      'a maxLifetime without unit',
      ['    maxLifetime: 90m', '    maxLifetime: 90 #!'],
      /^grants\.trains\.maxLifetime: /,
    ],
    [
      'a maxLifetime in words',
      ['    maxLifetime: 90m', '    maxLifetime: long #!'],
      'grants.trains.maxLifetime: must be a whole number and a unit: s, m, h or d, for example 90m',
    ],
    [
      'suspended in words',
      ['    maxLifetime: 90m', '    maxLifetime: 90m\n    suspended: "no" #!'],
      /^grants\.trains\.suspended: /,
    ],
    [
      'an identity shared by one',
      [runnerLine, '  runner: { use: issue, managedIdentity: {}, sharedBy: [prod] }'],
      /^identities\.runner\.sharedBy: /,
    ],
  ] satisfies [string, [string, string], string | RegExp][])('%s', (_what, [original, planted], expected) => {
    // What a test does not mark itself is on the line where the original began.
    const marked = plant([original, planted]);
    const first = goodPolicy.slice(0, goodPolicy.indexOf(original)).split('\n').length;
    const line = marked.lines[0] ?? (expected === 'grants.trains.maxLifetime: is missing' ? 24 : first);
    const problems = problemsOf(marked.text);
    expect(problems).toHaveLength(1);
    const [at, where] = [problems[0]?.split(': ')[0], problems[0]?.replace(/^line \d+: /, '')];
    expect(at).toBe(`line ${line}`);
    if (typeof expected === 'string') expect(where).toBe(expected);
    else expect(where).toMatch(expected);
  });

  const nameClaims = ['email', 'upn', 'preferred_username', 'unique_name', 'name', 'family_name', 'given_name'];

  it.each([...nameClaims, 'Email', 'UPN', 'Preferred_Username', 'NAME'])(
    'a matcher on the name claim %s, which its holder can change',
    (claim) => {
      for (const matcher of [scoresCaller, '  - { issuer: contoso, class: app, roles: [Operator] }']) {
        const { text, lines } = plant([matcher, `${matcher.replace(' }', `, claims: { ${claim}: x } }`)} #!`]);
        const problems = problemsOf(text);
        expect(problems).toEqual([expect.stringContaining('match on oid or subject')]);
        expect(problems[0]).toContain(`line ${lines[0]}: `);
        expect(problems[0]).toContain(`claims.${claim}`);
      }
    },
  );
});

describe('the JSON Schema of the policy', () => {
  const schemaSchema = z.record(z.string(), z.json());
  const accepts = (text: string): boolean => {
    const schema = z.fromJSONSchema(schemaSchema.parse(JSON.parse(JSON.stringify(policyJsonSchema()))));
    return schema.safeParse(parse(text)).success;
  };

  it('is committed as it is generated; npm run schema writes it again', async () => {
    expect(await readFile('broker.schema.json', 'utf8')).toBe(await renderPolicySchema());
  });

  it('accepts the policy of the sandbox and one with every kind of entry', async () => {
    expect(accepts(await readFile('sandbox/broker.yaml', 'utf8'))).toBe(true);
    expect(accepts(goodPolicy)).toBe(true);
  });

  it('accepts whatever the broker accepts', () => {
    const change = fc.constantFrom<[string, string]>(
      ['[api://broker, broker]', 'broker'],
      ['roles: [Operator]', 'appId: E0000000-0000-4000-8000-000000000001'],
      ['{ xms_mirid: one }', '{ count: 7, flag: true }'],
      ['managedIdentity: {}', 'managedIdentity: {}, sharedBy: [prod, dev]'],
      ['endpointKey: prod/fraud-*', 'endpointKey: prod/*'],
      ['maxLifetime: 90m', 'suspended: true\n    maxLifetime: 30d'],
      ['- { endpointToken: prod/fraud-* }', '- { endpointToken: prod/fraud-*, identity: runner }'],
      ['deny:\n', 'deny: &cut\n'],
      ['audience: aml', 'audience: arm'],
      ['rotateEvery: 7d }', 'rotateEvery: 90d, overlap: 1s }'],
      ['    lifetime: 60d\n    overlap: 20s\n', ''],
    );
    fc.assert(
      fc.property(fc.uniqueArray(change, { selector: ([original]) => original }), (changes) => {
        const text = changes.reduce((before, [original, planted]) => before.replace(original, planted), goodPolicy);
        fc.pre(parsePolicy(text).ok);
        expect(accepts(text)).toBe(true);
      }),
    );
  });

  it.each([
    ['an unknown key', ['deny:', 'denied: []\ndeny:']],
    ['an unknown key of a grant', ['    maxLifetime: 90m', '    maxLifetime: 90m\n    note: x']],
    ['a tenant that is no GUID', ['entraTenant: 11111111-1111-4111-8111-111111111111', 'entraTenant: contoso']],
    ['a class that nobody has', ['class: app, roles: [Train]', 'class: robot, roles: [Train]']],
    ['a maxLifetime in words', ['maxLifetime: 90m', 'maxLifetime: long']],
    ['a name that is no name', ['  runner:', '  run_ner:']],
    ['no issuers', ['issuers:', 'others:']],
    ['a rotation without its time', ['    rotateEvery: 30d\n', '']],
    ['a rotation of two kinds', ['endpointKeys: prod/', 'clientId: x, endpointKeys: prod/']],
    ['a rotation’s name that is no Key Vault secret’s', ['  fraud-keys:', '  fraud_keys:']],
  ] satisfies [string, [string, string]][])('refuses %s, so that an editor shows it', (_what, change) => {
    expect(accepts(plant(change).text)).toBe(false);
  });
});
