import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compareAnswers } from '../../sandbox/reference/answer.ts';
import { compareShapes, type Json, pathMatches, plainRules } from '../../sandbox/reference/compare.ts';
import { compareFolder, listExamples } from '../../sandbox/reference/compare-folder.ts';
import { allSame, formatTable, type Row } from '../../sandbox/reference/table.ts';
import { normaliseText } from '../../sandbox/reference/text-form.ts';
import { createWorld } from '../../sandbox/reference/world.ts';

const kindsOf = (expected: Json, actual: Json, rules = plainRules): string[] =>
  compareShapes(expected, actual, rules).map(({ path, kind }) => `${path} ${kind}`);

const example = {
  id: 'https://example.vault/secrets/alpha/a530baa3ab3a48a59675f6563ae2cfb9',
  attributes: { enabled: true, created: 1_777_137_799, recoverableDays: 7 },
  tags: { keyId: 'x' },
  createdAt: '2022-10-28T19:14:54.2541612+00:00',
  description: null,
  kind: 'Managed',
} satisfies Json;

const ours = {
  id: 'https://localhost:7083/secrets/beta/0d33f3ea76c04441b77aa9113da02333',
  attributes: { enabled: true, created: 1_900_000_000, recoverableDays: 7 },
  tags: { keyId: 'x' },
  createdAt: '2026-11-22T01:00:00.0123456+00:00',
  description: null,
  kind: 'Managed',
} satisfies Json;

const { kind: _kind, ...withoutKind } = ours;

const rules = {
  ...plainRules,
  names: [
    { label: 'vault', example: 'https://example.vault', ours: 'https://localhost:7083' },
    { label: 'secret', example: 'alpha', ours: 'beta' },
  ],
};

describe('compareShapes', () => {
  it('finds no difference where only ids, instants and names differ', () => {
    expect(kindsOf(example, ours, rules)).toEqual([]);
  });

  const changed: [title: string, actual: Json, found: string][] = [
    ['a field that only the example has', withoutKind, 'body.kind missing'],
    ['a field that only our answer has', { ...ours, etag: null }, 'body.etag extra'],
    ['a text where the example has null', { ...ours, description: '' }, 'body.description type'],
    ['null where the example has a text', { ...ours, kind: null }, 'body.kind type'],
    [
      'a number as a text',
      { ...ours, attributes: { ...ours.attributes, created: '1900000000' } },
      'body.attributes.created type',
    ],
    [
      'milliseconds where the example has seconds',
      { ...ours, attributes: { ...ours.attributes, created: 1_900_000_000_000 } },
      'body.attributes.created form',
    ],
    [
      'another constant number',
      { ...ours, attributes: { ...ours.attributes, recoverableDays: 90 } },
      'body.attributes.recoverableDays value',
    ],
    ['another constant text', { ...ours, kind: 'K8S' }, 'body.kind value'],
    [
      'the opposite boolean',
      { ...ours, attributes: { ...ours.attributes, enabled: false } },
      'body.attributes.enabled value',
    ],
    [
      'an ISO time with milliseconds where the example has ticks',
      { ...ours, createdAt: '2026-11-22T01:00:00.012+00:00' },
      'body.createdAt form',
    ],
    [
      'a Z where the example has an offset',
      { ...ours, createdAt: '2026-11-22T01:00:00.0123456Z' },
      'body.createdAt form',
    ],
    [
      'epoch seconds as a text where the example has an ISO time',
      { ...ours, createdAt: '1900000000' },
      'body.createdAt form',
    ],
    [
      'an id of another form',
      { ...ours, id: ours.id.replace('0d33f3ea76c04441b77aa9113da02333', '1') },
      'body.id value',
    ],
    ['an object where the example has a text', { ...ours, kind: {} }, 'body.kind type'],
    ['a list where the example has an object', { ...ours, tags: [] }, 'body.tags type'],
  ];
  it.each(changed)('finds %s', (_title, actual, found) => {
    expect(kindsOf(example, actual, rules)).toEqual([found]);
  });

  it('compares each of our list items with the example, and tells another number of items', () => {
    expect(kindsOf([{ a: 1 }], [{ a: 1 }, { b: 1 }])).toEqual(['body length', 'body.1.a missing', 'body.1.b extra']);
    expect(kindsOf([], [{ a: 1 }])).toEqual(['body length']);
  });

  it('reads a fraction as another form than an integer, also where only types count', () => {
    expect(kindsOf({ n: 1 }, { n: 1.5 }, { ...plainRules, values: 'types' })).toEqual(['body.n form']);
    expect(kindsOf({ n: 1 }, { n: 1_900_000_000 }, { ...plainRules, values: 'types' })).toEqual([]);
  });

  it('compares nothing but types of values in a specification example', () => {
    const specification = { ...plainRules, values: 'types' } as const;
    expect(kindsOf({ id: 'string', on: true }, { id: 'abc', on: false }, specification)).toEqual([]);
    expect(kindsOf({ id: 'string' }, { id: 1 }, specification)).toEqual(['body.id type']);
  });

  it('takes a placeholder of the example for any text, but for nothing else', () => {
    expect(kindsOf({ by: 'Sanitized' }, { by: 'someone' })).toEqual([]);
    expect(kindsOf({ by: 'Sanitized' }, { by: null })).toEqual(['body.by type']);
  });

  it('compares the values of an object with free keys with the first value of the example', () => {
    const maps = { ...plainRules, maps: ['body.traffic'] };
    expect(kindsOf({ traffic: { blue: 100 } }, { traffic: { green: 100 } }, maps)).toEqual([]);
    expect(kindsOf({ traffic: { blue: 100 } }, { traffic: { green: '100' } }, maps)).toEqual([
      'body.traffic.green type',
    ]);
  });

  it('takes away exactly the difference that an allowance names', () => {
    const allow = [{ path: 'body.list.*.etag', kind: 'extra', reason: 'newer versions send it' }] as const;
    expect(kindsOf({ list: [{}] }, { list: [{ etag: null }] }, { ...plainRules, allow })).toEqual([]);
    expect(kindsOf({ list: [{}] }, { list: [{ etag: null, tag: 1 }] }, { ...plainRules, allow })).toEqual([
      'body.list.0.tag extra',
    ]);
    expect(kindsOf({ list: [{ etag: 1 }] }, { list: [{ etag: null }] }, { ...plainRules, allow })).toContain(
      'body.list.0.etag type',
    );
  });

  it('calls an allowance that nothing needs a difference', () => {
    const allow = [{ path: 'body.etag', kind: 'extra', reason: 'newer versions send it' }] as const;
    expect(kindsOf({}, {}, { ...plainRules, allow })).toEqual(['body.etag allowance']);
  });

  it('never tells the text of a secret, key or token', () => {
    const found = compareShapes({ secretText: 'abc' }, { secretText: 'hunter2-hunter2' }, plainRules);
    expect(found).toHaveLength(1);
    expect(JSON.stringify(found)).not.toContain('hunter2');
  });
});

describe('compareAnswers', () => {
  const recorded = {
    status: 401,
    headers: {
      'Content-Type': 'application/json; charset=utf-8',
      Date: 'Sat, 25 Apr 2026 17:23:14 GMT',
      'WWW-Authenticate':
        'Bearer authorization="https://login.example/11111111-1111-1111-1111-111111111111", resource="https://r"',
      'x-ms-ratelimit-remaining-subscription-reads': '249',
    },
    body: { error: { code: 'Unauthorized' } },
  };
  const headers = {
    'content-type': 'application/json;charset=utf-8',
    'www-authenticate':
      'Bearer authorization="https://login.example/22222222-2222-4222-8222-222222222222", resource="https://r"',
    'x-ms-ratelimit-remaining-subscription-reads': '3',
  };
  const answer = { status: 401, headers, body: { error: { code: 'Unauthorized' } } };
  const found = (actual: object): string[] =>
    compareAnswers(recorded, { ...answer, ...actual }, plainRules).map(({ path, kind }) => `${path} ${kind}`);

  it('finds no difference where header names differ in case, and counts and dates in value', () => {
    expect(found({})).toEqual([]);
  });

  it('finds another status, another error code and another content type', () => {
    expect(found({ status: 403 })).toEqual(['status value']);
    expect(found({ body: { error: { code: 'Forbidden' } } })).toEqual(['body.error.code value']);
    expect(found({ headers: { ...headers, 'content-type': 'text/plain' } })).toEqual(['headers.content-type value']);
  });

  it('finds a header that only one side has, and one of another form', () => {
    const { 'www-authenticate': _challenge, ...rest } = headers;
    expect(found({ headers: rest })).toEqual(['headers.www-authenticate missing']);
    expect(found({ headers: { ...headers, 'x-new': '1' } })).toEqual(['headers.x-new extra']);
    expect(found({ headers: { ...headers, 'www-authenticate': 'Bearer realm=""' } })).toEqual([
      'headers.www-authenticate value',
    ]);
    expect(found({ headers: { ...headers, 'x-ms-ratelimit-remaining-subscription-reads': 'many' } })).toEqual([
      'headers.x-ms-ratelimit-remaining-subscription-reads form',
    ]);
  });

  it('finds a missing body, and compares a body that is no JSON value as text', () => {
    expect(found({ body: undefined })).toEqual(['body missing']);
    expect(compareAnswers({ rawBody: 'null' }, { rawBody: '' }, plainRules)).toHaveLength(1);
    expect(compareAnswers({ rawBody: '' }, { rawBody: '' }, plainRules)).toEqual([]);
  });
});

describe('normaliseText', () => {
  it.each([
    ['1586984735', '{epochSecondsText}'],
    ['2023-08-03 00:46:25Z', '{spacedTimeZ}'],
    ['2025-02-20T10:52:24', '{isoLocal}'],
    ['2024-05-07T06:52:43Z', '{isoSecondsZ}'],
    ['WESTUS:20260303T201756Z:98d99631-6199-4000-8039-43b4ffc698a7', 'WESTUS:{compactTimeZ}:{guid}'],
    ['0001-01-01T00:00:00+00:00', '0001-01-01T00:00:00+00:00'],
  ])('reads %s as %s', (text, form) => {
    expect(normaliseText(text)).toBe(form);
  });
});

describe('pathMatches', () => {
  it('lets a star stand for one part only', () => {
    expect(pathMatches('body.value.*.id', 'body.value.3.id')).toBe(true);
    expect(pathMatches('body.*.id', 'body.value.3.id')).toBe(false);
    expect(pathMatches('body.a', 'bodyxa')).toBe(false);
  });
});

describe('compareFolder', () => {
  const world = createWorld({
    urls: { entra: '', managedIdentity: '', keyVault: '', arm: '', graph: '', scoring: '', tables: '' },
    identityEndpoint: '',
    identityHeader: '',
    tls: { cert: '', key: '' },
  });
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'reference-test-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('refuses a folder that is missing or empty, in a sentence that names it', async () => {
    await expect(listExamples(folder)).rejects.toThrow(`The folder ${folder} is empty.`);
    await expect(listExamples(join(folder, 'none'))).rejects.toThrow(
      `The folder ${join(folder, 'none')} cannot be read.`,
    );
  });

  it('fails on a file that nothing handles, whatever its kind', async () => {
    for (const name of ['kv-new.recorded.json', 'notes.txt']) await writeFile(join(folder, name), '{}');
    const rows = await compareFolder(folder, await listExamples(folder), world);
    expect(rows.map(({ outcome }) => outcome.kind)).toEqual(['failed', 'failed']);
    expect(allSame(rows)).toBe(false);
    expect(formatTable(rows).at(-1)).toBe('0 same, 0 not applicable, 2 differ');
  });

  it('lists what is constructed, and what has a reason, as not applicable', async () => {
    for (const name of ['arm-errors.constructed.json', 'mi-imds-2018-02-01.doc.json'])
      await writeFile(join(folder, name), '{}');
    const rows = await compareFolder(folder, await listExamples(folder), world);
    expect(allSame(rows)).toBe(true);
    expect(formatTable(rows).at(-1)).toBe('0 same, 2 not applicable, 0 differ');
    expect(formatTable(rows)[1]).toContain('not compared: constructed');
  });

  it('counts an example that cannot be read as a difference', async () => {
    await writeFile(join(folder, 'kv-SetSecret.swagger.json'), 'no JSON');
    const rows = await compareFolder(folder, await listExamples(folder), world);
    expect(rows.map(({ outcome }) => outcome.kind)).toEqual(['failed']);
  });
});

describe('formatTable', () => {
  it('writes a row for each example, its differences below it, and the totals last', () => {
    const difference = {
      title: 'page 1',
      path: 'body.id',
      kind: 'missing',
      expected: '{guid}',
      actual: 'no such field',
    } as const;
    const rows: Row[] = [
      { example: 'a.json', outcome: { kind: 'same', answers: 2, allowed: [] } },
      { example: 'b.json', outcome: { kind: 'differs', differences: [difference] } },
    ];
    expect(formatTable(rows)).toEqual([
      'example | result         | note',
      'a.json  | same           | 2 answers compared',
      'b.json  | differs        | 1 difference',
      '    page 1: body.id: missing: example has {guid}, ours no such field',
      '',
      '1 same, 0 not applicable, 1 differ',
    ]);
    expect(allSame(rows)).toBe(false);
  });
});
