import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parsePolicy } from '../../src/config/policy.ts';
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
