import { describe, expect, it } from 'vitest';
import { goodPolicy, plant, problemsOf } from './policy-text.ts';

const operator = '  - { issuer: contoso, class: app, roles: [Operator] }';
const denied = '  - { issuer: contoso, class: app, oid: e0000000-0000-4000-8000-0000000000f2 }';
const scoresCaller = '    caller: { issuer: contoso, class: app, oid: e0000000-0000-4000-8000-0000000000f1 }';
const trainsCaller = '    caller: { issuer: contoso, class: app, roles: [Train], claims: { xms_mirid: one } }';
const tokenEntry = '      - { endpointToken: prod/fraud-* }';
const keyEntry = '      - { endpointKey: prod/fraud-* }';
const trainEntry = '      - { workspace: prod, audience: aml, identity: trainer }';
const runner = '  runner: { use: issue, managedIdentity: {} }';
const prod =
  '  prod: { subscription_id: 00000000-0000-4000-8000-00000000000a, resource_group: ml, workspace_name: ml-prod, fetch: reader }';

const trainsWith = (entry: string) => [trainEntry, `      - ${entry} #!`] as const;

it('finds nothing wrong with a good policy', () => {
  expect(problemsOf(goodPolicy)).toEqual([]);
});

describe('a policy that contradicts itself is refused, with the line', () => {
  it.each<[string, readonly [string, string], string]>([
    [
      'an operator of an unknown issuer',
      [operator, '  - { issuer: nobody, class: app } #!'],
      'operators.0.issuer: there is no issuer named nobody',
    ],
    [
      'a grant for an unknown issuer',
      [scoresCaller, '    caller: { issuer: nobody, class: app } #!'],
      'grants.scores.caller.issuer: there is no issuer named nobody',
    ],
    [
      'a denied caller of an unknown issuer',
      [denied, '  - { issuer: nobody, class: app } #!'],
      'deny.0.issuer: there is no issuer named nobody',
    ],
    [
      'an issuer named like a part of every object',
      [denied, '  - { issuer: constructor, class: app } #!'],
      'deny.0.issuer: there is no issuer named constructor',
    ],
    [
      'an operator that can never match',
      [operator, '  - { issuer: contoso, class: user, appId: e0000000-0000-4000-8000-000000000001 } #!'],
      'operators.0.appId: can never match: appId matches class app only',
    ],
    [
      'a denied caller that can never match',
      [denied, '  - { issuer: contoso, class: user, appId: e0000000-0000-4000-8000-000000000001 } #!'],
      'deny.0.appId: can never match: appId matches class app only',
    ],
    [
      'an unknown fetch identity',
      [prod, `${prod.replace('fetch: reader', 'fetch: nobody')} #!`],
      'workspaces.prod.fetch: there is no identity named nobody',
    ],
    [
      'a fetch identity whose tokens are handed out',
      [prod, `${prod.replace('fetch: reader', 'fetch: runner')} #!`],
      'workspaces.prod.fetch: the identity runner is for use: issue; here one for use: fetch is needed',
    ],
    [
      'an unknown workspace',
      trainsWith('{ workspace: lab, audience: aml, identity: trainer }'),
      'grants.trains.allow.0.workspace: there is no workspace named lab',
    ],
    [
      'an unknown identity',
      trainsWith('{ workspace: prod, audience: aml, identity: nobody }'),
      'grants.trains.allow.0.identity: there is no identity named nobody',
    ],
    [
      'a managed identity under a limit of less than a day',
      trainsWith('{ workspace: prod, audience: arm, identity: runner }'),
      'grants.trains.allow.0.identity: can never meet maxLifetime: tokens of the managed identity runner live 24 h',
    ],
    [
      'an endpoint token in an unknown workspace',
      [tokenEntry, '      - { endpointToken: lab/fraud-* } #!'],
      'grants.scores.allow.0.endpointToken: there is no workspace named lab',
    ],
    [
      'an endpoint key in an unknown workspace',
      [keyEntry, '      - { endpointKey: lab/fraud-* } #!'],
      'grants.scores.allow.1.endpointKey: there is no workspace named lab',
    ],
    [
      'an endpoint token in a workspace that nobody fetches for',
      [tokenEntry, '      - { endpointToken: dev/fraud-* } #!'],
      'grants.scores.allow.0.endpointToken: the workspace dev needs fetch: the identity that obtains its endpoints’ tokens and keys',
    ],
    [
      'an endpoint key in a workspace that nobody fetches for',
      [keyEntry, '      - { endpointKey: dev/fraud-* } #!'],
      'grants.scores.allow.1.endpointKey: the workspace dev needs fetch: the identity that obtains its endpoints’ tokens and keys',
    ],
    [
      'an endpoint token through an unknown identity',
      [tokenEntry, '      - { endpointToken: prod/fraud-*, identity: nobody } #!'],
      'grants.scores.allow.0.identity: there is no identity named nobody',
    ],
    [
      'P3: an endpoint token through an identity whose tokens never leave',
      [tokenEntry, '      - { endpointToken: prod/fraud-*, identity: reader } #!'],
      'grants.scores.allow.0.identity: the identity reader is for use: fetch; here one for use: issue is needed',
    ],
    [
      'an endpoint token under a limit of less than a day',
      trainsWith('{ endpointToken: prod/churn }'),
      'grants.trains.allow.0.endpointToken: can never meet maxLifetime: endpoint tokens live 24 h',
    ],
    [
      'users past their Conditional Access',
      [
        `${trainsCaller}\n    allow:\n${trainEntry}`,
        `    caller: { issuer: contoso, class: user }\n    allow:\n${trainEntry} #!`,
      ],
      'grants.trains.allow.0: would serve users past their Conditional Access: name an onBehalfOf identity, or say bypassesConditionalAccess: true in the grant if that is meant',
    ],
    [
      'Conditional Access bypassed for an app',
      ['    maxLifetime: 90m', '    maxLifetime: 90m\n    bypassesConditionalAccess: true #!'],
      'grants.trains.bypassesConditionalAccess: has a meaning for class user only',
    ],
    [
      'an identity shared by an unknown workspace',
      [runner, '  runner: { use: issue, managedIdentity: {}, sharedBy: [prod, lab] } #!'],
      'identities.runner.sharedBy.1: there is no workspace named lab',
    ],
  ])('%s', (_what, change, expected) => {
    const { text, lines } = plant(change);
    expect(problemsOf(text)).toEqual([`line ${lines[0]}: ${expected}`]);
  });

  it('one tenant under two names', () => {
    const { text, lines } = plant([
      'operators:',
      '  fabrikam: { entraTenant: 11111111-1111-4111-8111-111111111111, audience: other } #!\noperators:',
    ]);
    expect(problemsOf(text)).toEqual([`line ${lines[0]}: issuers.fabrikam: names the same tenant as contoso`]);
  });

  it('P3: an identity whose tokens never leave, for a workspace token', () => {
    const { text, lines } = plant(trainsWith('{ workspace: prod, audience: aml, identity: reader }'));
    expect(problemsOf(text)).toContain(
      `line ${lines[0]}: grants.trains.allow.0.identity: the identity reader is for use: fetch; here one for use: issue is needed`,
    );
  });
});

describe('a grant for users', () => {
  const users = '    caller: { issuer: contoso, class: user }';

  it('is good when it says that it bypasses Conditional Access', () => {
    const { text } = plant(
      [trainsCaller, users],
      ['    maxLifetime: 90m', '    maxLifetime: 90m\n    bypassesConditionalAccess: true'],
    );
    expect(problemsOf(text)).toEqual([]);
  });

  it('P1: is refused with appId, which a user’s token does not prove', () => {
    const { text, lines } = plant(
      [trainsCaller, '    caller: { issuer: contoso, class: user, appId: e0000000-0000-4000-8000-000000000001 } #!'],
      ['    maxLifetime: 90m', '    maxLifetime: 90m\n    bypassesConditionalAccess: true'],
    );
    expect(problemsOf(text)).toEqual([
      `line ${lines[0]}: grants.trains.caller.appId: can never match: appId matches class app only`,
    ]);
  });
});

describe('an identity whose tokens are handed out', () => {
  const both = [trainEntry, `${trainEntry}\n      - { workspace: dev, audience: aml, identity: trainer }`] as const;
  const trainerUse = '  trainer:\n    use: issue\n';

  it('P3: is refused for two workspaces that do not say so', () => {
    const { text, lines } = plant(both, [trainerUse, '  trainer: #!\n    use: issue\n']);
    expect(problemsOf(text)).toEqual([
      `line ${lines[0]}: identities.trainer: serves several workspaces (dev, prod): give each its own identity, or say sharedBy: [dev, prod]`,
    ]);
  });

  it('may serve the workspaces that its entry names', () => {
    const { text } = plant(both, [trainerUse, `${trainerUse}    sharedBy: [prod, dev]\n`]);
    expect(problemsOf(text)).toEqual([]);
  });

  it('P3: is refused for a third workspace beside those that its entry names', () => {
    const { text } = plant(
      [both[0], `${both[1]}\n      - { workspace: lab, audience: aml, identity: trainer }`],
      [trainerUse, `${trainerUse}    sharedBy: [prod, dev]\n`],
      [
        prod,
        `${prod}\n  lab: { subscription_id: 00000000-0000-4000-8000-00000000000a, resource_group: ml, workspace_name: lab-1 }`,
      ],
    );
    expect(problemsOf(text)).toEqual([expect.stringContaining('serves several workspaces (dev, lab, prod)')]);
  });

  it('P3: is counted for an endpoint’s token too', () => {
    const { text } = plant([
      tokenEntry,
      '      - { endpointToken: prod/fraud-*, identity: runner }\n      - { workspace: dev, audience: arm, identity: runner }',
    ]);
    expect(problemsOf(text)).toEqual([
      expect.stringContaining('identities.runner: serves several workspaces (dev, prod)'),
    ]);
  });

  it('may be used twice in one workspace', () => {
    const { text } = plant([
      trainEntry,
      `${trainEntry}\n      - { workspace: prod, audience: arm, identity: trainer }`,
    ]);
    expect(problemsOf(text)).toEqual([]);
  });
});

describe('the limit of a grant', () => {
  it.each(['24h', '1d', '25h', '86400s'])('may be %s for endpoint tokens', (limit) => {
    const { text } = plant(['    maxLifetime: 24h', `    maxLifetime: ${limit}`]);
    expect(problemsOf(text)).toEqual([]);
  });

  it('may be short for keys and for service principals, whose tokens live an hour', () => {
    const { text } = plant([trainEntry, `${trainEntry}\n      - { endpointKey: prod/churn }`]);
    expect(problemsOf(text)).toEqual([]);
  });

  it('is refused a second below a day for endpoint tokens', () => {
    const { text } = plant(['    maxLifetime: 24h', '    maxLifetime: 86399s'], [tokenEntry, `${tokenEntry} #!`]);
    expect(problemsOf(text)).toEqual([expect.stringContaining('can never meet maxLifetime')]);
  });
});

it('checks suspended grants too, so that lifting the suspension is safe', () => {
  const { text, lines } = plant(
    ['    maxLifetime: 90m', '    maxLifetime: 90m\n    suspended: true'],
    trainsWith('{ workspace: lab, audience: aml, identity: trainer }'),
  );
  expect(problemsOf(text)).toEqual([
    `line ${lines[0]}: grants.trains.allow.0.workspace: there is no workspace named lab`,
  ]);
});

it('reports all contradictions together, in the order of their lines', () => {
  const { text } = plant(
    [operator, '  - { issuer: nobody, class: app } #!'],
    [prod, `${prod.replace('fetch: reader', 'fetch: runner')} #!`],
    trainsWith('{ workspace: lab, audience: aml, identity: nobody }'),
    [denied, '  - { issuer: contoso, class: user, appId: e0000000-0000-4000-8000-000000000001 } #!'],
  );
  expect(problemsOf(text)).toEqual([
    'line 4: operators.0.issuer: there is no issuer named nobody',
    'line 15: workspaces.prod.fetch: the identity runner is for use: issue; here one for use: fetch is needed',
    'line 27: grants.trains.allow.0.workspace: there is no workspace named lab',
    'line 27: grants.trains.allow.0.identity: there is no identity named nobody',
    'line 30: deny.0.appId: can never match: appId matches class app only',
  ]);
});

describe('claims that no token can have beside the rest of the matcher', () => {
  const oid = 'e0000000-0000-4000-8000-0000000000f1';
  const other = 'e0000000-0000-4000-8000-0000000000f9';
  const withClaims = (rest: string, claims: string) =>
    plant(
      [trainsCaller, `    caller: { issuer: contoso, ${rest}, claims: { ${claims} } } #!`],
      ...(rest.startsWith('class: user')
        ? [['    maxLifetime: 90m', '    maxLifetime: 90m\n    bypassesConditionalAccess: true'] as const]
        : []),
    );

  it.each([
    ['tid', 'class: app', 'tid: 22222222-2222-4222-8222-222222222222'],
    ['oid', `class: app, oid: ${oid}`, `oid: ${other}`],
    ['sub', 'class: app, subject: one', 'sub: two'],
    ['sub', 'class: app, subject: one', 'sub: ONE'],
    ['appid', `class: app, appId: ${oid}`, `appid: ${other}`],
    ['azp', `class: app, appId: ${oid}`, `azp: ${other}`],
    ['idtyp', 'class: app', 'idtyp: user'],
    ['idtyp', 'class: user', 'idtyp: app'],
    ['scp', 'class: app', 'scp: Use'],
  ])('are refused: %s beside { %s } as { %s }', (claim, rest, claims) => {
    const { text, lines } = withClaims(rest, claims);
    expect(problemsOf(text)).toEqual([
      `line ${lines[0]}: grants.trains.caller.claims.${claim}: can never match: the rest of the matcher says otherwise`,
    ]);
  });

  it.each([
    ['the tenant of the issuer', 'class: app', 'tid: 11111111-1111-4111-8111-111111111111'],
    ['the same object id', `class: app, oid: ${oid}`, `oid: ${oid}`],
    ['the same object id in other letters', `class: app, oid: ${oid}`, `oid: ${oid.toUpperCase()}`],
    ['an object id that nothing else names', 'class: app', `oid: ${oid}`],
    ['the same subject', 'class: app, subject: one', 'sub: one'],
    ['a subject that nothing else names', 'class: app', 'sub: one'],
    ['the same client', `class: app, appId: ${oid}`, `appid: ${oid}, azp: ${oid}`],
    ['a client that nothing else names', 'class: app', `azp: ${oid}`],
    ['idtyp app of an app', 'class: app', 'idtyp: app'],
    ['idtyp user of a user', 'class: user', 'idtyp: user'],
    ['scp of a user', 'class: user', 'scp: Use'],
    ['anything else', 'class: app', 'xms_mirid: one, count: 7, flag: true'],
  ])('are not found in %s', (_what, rest, claims) => {
    expect(problemsOf(withClaims(rest, claims).text)).toEqual([]);
  });

  it('are refused for operators and denied callers too', () => {
    const { text, lines } = plant(
      [operator, '  - { issuer: contoso, class: app, claims: { scp: Use } } #!'],
      [denied, `  - { issuer: contoso, class: app, oid: ${oid}, claims: { oid: ${other} } } #!`],
    );
    expect(problemsOf(text)).toEqual([
      `line ${lines[0]}: operators.0.claims.scp: can never match: the rest of the matcher says otherwise`,
      `line ${lines[1]}: deny.0.claims.oid: can never match: the rest of the matcher says otherwise`,
    ]);
  });

  it('are told each, and are not looked for in the tenant of an unknown issuer', () => {
    const { text, lines } = plant([
      trainsCaller,
      '    caller: { issuer: nobody, class: app, claims: { tid: x, scp: Use, idtyp: user } } #!',
    ]);
    const path = `line ${lines[0]}: grants.trains.caller`;
    expect(problemsOf(text)).toEqual([
      `${path}.issuer: there is no issuer named nobody`,
      `${path}.claims.scp: can never match: the rest of the matcher says otherwise`,
      `${path}.claims.idtyp: can never match: the rest of the matcher says otherwise`,
    ]);
  });
});
