import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { identityNames, parsePolicy } from '../../src/config/policy.ts';
import { aPolicy } from '../support/builders.ts';
import { goodPolicy, plant, problemsOf } from './policy-text.ts';

const tenantLine = 'entraTenant: 11111111-1111-4111-8111-111111111111';
const prodLine =
  '  prod: { subscription_id: 00000000-0000-4000-8000-00000000000a, resource_group: ml, workspace_name: ml-prod, fetch: reader }';

describe('a policy', () => {
  it('is read with its durations in seconds, its defaults, and ids in lower case', () => {
    const { text } = plant(['oid: e0000000-0000-4000-8000-0000000000f1', 'oid: E0000000-0000-4000-8000-0000000000F1']);
    const parsed = parsePolicy(text);
    expect(parsed).toMatchObject({
      ok: true,
      value: {
        issuers: { contoso: { audience: ['api://broker', 'broker'] } },
        grants: {
          scores: {
            caller: { oid: 'e0000000-0000-4000-8000-0000000000f1' },
            maxLifetime: 86_400,
            suspended: false,
            bypassesConditionalAccess: false,
          },
          trains: { maxLifetime: 5400 },
        },
      },
    });
  });

  it('has the SHA-256 of its bytes as hash', () => {
    const hash = createHash('sha256').update(goodPolicy).digest('hex');
    expect(parsePolicy(goodPolicy)).toMatchObject({ ok: true, value: { hash } });
    expect(parsePolicy(`${goodPolicy}# a comment\n`)).not.toMatchObject({ value: { hash } });
  });

  it('may hold issuers alone: then nobody gets anything', () => {
    expect(
      parsePolicy('issuers: { a: { entraTenant: 11111111-1111-4111-8111-111111111111, audience: b } }\n'),
    ).toMatchObject({
      ok: true,
      value: {
        operators: [],
        identities: {},
        workspaces: {},
        grants: {},
        deny: [],
        issuers: { a: { audience: ['b'] } },
      },
    });
  });

  it('may use anchors and aliases', () => {
    const text = goodPolicy
      .replace('roles: [Operator]', 'roles: &operators [Operator]')
      .replace('roles: [Train]', 'roles: *operators');
    expect(parsePolicy(text)).toMatchObject({
      ok: true,
      value: { grants: { trains: { caller: { roles: ['Operator'] } } } },
    });
  });

  it('of the sandbox is good', async () => {
    expect(problemsOf(await readFile('sandbox/broker.yaml', 'utf8'))).toEqual([]);
  });
});

it('names its identities by their use', () => {
  expect([identityNames(aPolicy(), 'fetch'), identityNames(aPolicy(), 'issue')]).toEqual([['reader'], ['trainer']]);
});

describe('__proto__ as a key', () => {
  const claims = '{ xms_mirid: one }';

  // An object takes it as its prototype: a claim of this name would be demanded of nobody.
  it.each([
    ['plain', claims, '{ __proto__: one }'],
    ['beside another', claims, '{ xms_mirid: one, __proto__: two }'],
    ['in quotes', claims, '{ "__proto__": one }'],
    ['in escapes', claims, '{ "\\u005f_proto__": one }'],
    ['with a tag', claims, '{ !!str __proto__: one }'],
    ['as an explicit key', claims, '{ ? __proto__ : one }'],
    ['with an anchor', claims, '{ &name __proto__: one }'],
  ])('P1: inside claims, written %s, never widens a grant: it is refused once', (_what, original, planted) => {
    const { text } = plant([original, planted]);
    expect(problemsOf(text)).toEqual(['line 25: __proto__: is not a name']);
  });

  it('P1: inside claims, written as an alias, never widens a grant', () => {
    const { text } = plant(['roles: [Operator]', 'roles: [&name __proto__]'], [claims, '{ *name : one }']);
    expect(problemsOf(text)).toEqual(['line 25: __proto__: is not a name']);
  });

  it.each([
    ['an issuer', '  contoso: {', '  __proto__: { entraTenant: x } #!\n  contoso: {'],
    ['a grant', '  trains:\n', '  __proto__: {} #!\n  trains:\n'],
    ['a key of a grant', '    maxLifetime: 90m', '    maxLifetime: 90m\n    __proto__: { suspended: true } #!'],
    [
      'a key of a denied caller',
      'oid: e0000000-0000-4000-8000-0000000000f2 }',
      'oid: e0000000-0000-4000-8000-0000000000f2, __proto__: x } #!',
    ],
  ])('is refused once as %s', (_what, original, planted) => {
    const { text, lines } = plant([original, planted]);
    expect(problemsOf(text)).toEqual([`line ${lines[0]}: __proto__: is not a name`]);
  });

  it('is told for each place', () => {
    const { text } = plant(
      ['deny:', '__proto__: {}\ndeny:'],
      [claims, '{ __proto__: one }'],
      ['{ entraTenant', '{ __proto__: x, entraTenant'],
    );
    expect(problemsOf(text)).toEqual([2, 25, 29].map((line) => `line ${line}: __proto__: is not a name`));
  });

  it('may be a value', () => {
    expect(problemsOf(plant(['roles: [Train]', 'roles: [__proto__]']).text)).toEqual([]);
  });
});

describe('a policy that is no YAML map', () => {
  it('is refused when it is empty, naming what it needs', () => {
    for (const text of ['', '\n', '# nothing\n']) {
      expect(problemsOf(text)).toEqual(['line 1: issuers: is missing']);
    }
  });

  it.each(['- a\n', 'text\n', '7\n'])('is refused when it is %j', (text) => {
    expect(problemsOf(text)).toEqual([expect.stringMatching(/^line 1: policy: /)]);
  });

  it('is refused with the line of every repeated key', () => {
    const { text, lines } = plant([
      '  dev: {',
      '  prod: { subscription_id: 00000000-0000-4000-8000-00000000000b, resource_group: a, workspace_name: abc } #!\n  dev: {',
    ]);
    expect(problemsOf(text)).toEqual([`line ${lines[0]}: Map keys must be unique`]);
  });

  it('is refused with the line of a mistake in its YAML', () => {
    expect(problemsOf('issuers:\n  contoso: { a: b\nidentities: {}\n')).toContainEqual(
      expect.stringMatching(/^line [23]: /),
    );
    expect(problemsOf('issuers: {}\n\tidentities: {}\n')).toContainEqual(expect.stringMatching(/^line 2: /));
  });

  it('is refused when it holds two documents', () => {
    expect(problemsOf(`${goodPolicy}---\n${goodPolicy}`)).toEqual([expect.stringMatching(/^line \d+: .*documents/)]);
  });

  it('is refused when an alias has no anchor', () => {
    expect(problemsOf(goodPolicy.replace('roles: [Operator]', 'roles: *nowhere'))).toEqual([
      expect.stringContaining('has no anchor'),
    ]);
  });

  it('is refused, quickly, when its aliases would grow without end', () => {
    const rows = Array.from({ length: 12 }, (_, row) => `a${row + 1}: &a${row + 1} [${Array(10).fill(`*a${row}`)}]`);
    expect(problemsOf(`a0: &a0 x\n${rows.join('\n')}\n`)).toEqual([expect.stringContaining('too many')]);
  });
});

it('reports all problems of one policy together, in the order of their lines', () => {
  const { text } = plant(
    [tenantLine, 'entraTenant: contoso'],
    [prodLine, prodLine.replace('{', '{ region: x,')],
    ['    maxLifetime: 24h', '    maxLifetime: a day'],
    ['deny:', 'denied: []\ndeny:'],
  );
  expect(problemsOf(text)).toEqual([
    'line 2: issuers.contoso.entraTenant: must be a GUID',
    'line 15: workspaces.prod.region: is not a known key',
    'line 23: grants.scores.maxLifetime: must be a whole number and a unit: s, m, h or d, for example 90m',
    'line 29: denied: is not a known key',
  ]);
});

describe('all problems of one policy', () => {
  const workspaceEntry = '{ workspace: prod, audience: aml, identity: trainer }';

  it('come together, those of the shape and those of the whole, in the order of their lines', () => {
    const { text } = plant(
      ['  - { issuer: contoso, class: app, roles: [Operator] }', '  - { issuer: nobody, class: app }'],
      ['  runner: { use: issue,', '  runner: { use: both,'],
      [prodLine, prodLine.replace('fetch: reader', 'fetch: nobody')],
      ['    maxLifetime: 24h', '    maxLifetime: a day'],
      [workspaceEntry, '{ workspace: lab, audience: aml, identity: trainer }'],
      ['deny:', 'denied: []\ndeny:'],
    );
    expect(problemsOf(text)).toEqual([
      'line 4: operators.0.issuer: there is no issuer named nobody',
      expect.stringMatching(/^line 7: identities\.runner\.use: /),
      'line 15: workspaces.prod.fetch: there is no identity named nobody',
      'line 23: grants.scores.maxLifetime: must be a whole number and a unit: s, m, h or d, for example 90m',
      'line 27: grants.trains.allow.0.workspace: there is no workspace named lab',
      'line 29: denied: is not a known key',
    ]);
  });

  it.each([
    [
      'identity',
      ['      secret: trainer-password', '      secret: Ab8~Q'],
      'line 13: identities.trainer.servicePrincipal.secret: must be the name of a Key Vault secret, not the secret',
    ],
    [
      'fetch identity',
      ['  reader: { use: fetch,', '  reader: { use: fetch, password: x,'],
      'line 6: identities.reader.password: is not a known key',
    ],
    ['issuer', [tenantLine, 'entraTenant: contoso'], 'line 2: issuers.contoso.entraTenant: must be a GUID'],
    [
      'workspace',
      ['workspace_name: ml-prod', 'workspace_name: m'],
      'line 15: workspaces.prod.workspace_name: must be the name of an Azure ML workspace',
    ],
  ] satisfies [string, [string, string], string][])(
    'name a broken %s once: it is not told a second time as missing where it is used',
    (_what, change, problem) => {
      expect(problemsOf(plant(change).text)).toEqual([problem]);
    },
  );

  it.each([
    ['is missing', 'others: 1\n'],
    ['is no map', 'issuers: 7\n'],
  ])('name what else is wrong where the section of issuers %s', (_what, planted) => {
    const section = `issuers:\n  contoso: { ${tenantLine}, audience: [api://broker, broker] }\n`;
    const { text } = plant(
      [section, planted],
      [workspaceEntry, '{ workspace: lab, audience: aml, identity: trainer }'],
    );
    const problems = problemsOf(text);
    expect(problems[0]).toMatch(/^line 1: (issuers|others): /);
    expect(problems).toContain('line 26: grants.trains.allow.0.workspace: there is no workspace named lab');
  });

  it('name a matcher that is broken, and the mistakes of the other grants', () => {
    const { text } = plant(
      ['oid: e0000000-0000-4000-8000-0000000000f1', 'oid: me'],
      [workspaceEntry, '{ workspace: prod, audience: aml, identity: nobody }'],
      ['oid: e0000000-0000-4000-8000-0000000000f2', 'oid: you'],
    );
    expect(problemsOf(text)).toEqual([
      'line 19: grants.scores.caller.oid: must be a GUID',
      'line 27: grants.trains.allow.0.identity: there is no identity named nobody',
      'line 30: deny.0.oid: must be a GUID',
    ]);
  });
});
