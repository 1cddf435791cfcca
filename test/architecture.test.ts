import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';

/** The rules of .dependency-cruiser.js hold, the tool behind them sees TypeScript, and it fails when it should. */

const root = path.resolve(import.meta.dirname, '..');
const folders = ['client', 'src', 'sandbox', 'test', 'tools'];

const resultSchema = z.object({
  summary: z.object({
    totalCruised: z.int(),
    violations: z.array(z.object({ from: z.string(), to: z.string(), rule: z.object({ name: z.string() }) })),
  }),
  modules: z.array(z.object({ source: z.string(), dependencies: z.array(z.object({ resolved: z.string() })) })),
});

function runTool(folder: string, outputType: string): Promise<{ code: unknown; out: string }> {
  const command = path.join(root, 'node_modules/.bin/depcruise');
  const options = { cwd: folder, maxBuffer: 64 * 1024 * 1024 };
  const { promise, resolve } = Promise.withResolvers<{ code: unknown; out: string }>();
  execFile(command, ['--output-type', outputType, ...folders], options, (error, out) =>
    resolve({ code: error === null ? 0 : error.code, out }),
  );
  return promise;
}

/** What the tool saw and found; as JSON it always ends well, so the exit code is looked at elsewhere. */
async function cruise(folder: string) {
  const { out } = await runTool(folder, 'json');
  const { summary, modules } = resultSchema.parse(JSON.parse(out));
  return { modules, seen: summary.totalCruised, violations: summary.violations };
}

/** Files that a test adds to a copy of the tree: path → text. */
async function copyWith(planted: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'architecture-'));
  for (const name of [...folders, 'package.json', 'tsconfig.json', '.dependency-cruiser.js']) {
    await cp(path.join(root, name), path.join(folder, name), { recursive: true });
  }
  await symlink(path.join(root, 'node_modules'), path.join(folder, 'node_modules'));
  for (const [name, text] of Object.entries(planted)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), text);
  }
  return folder;
}

describe('the boundaries', () => {
  it('hold in this tree, of which the tool sees every module of src and what each imports', async () => {
    const { modules, seen, violations } = await cruise(root);
    expect(violations).toEqual([]);
    expect(seen).toBeGreaterThan(40);
    const sources = [...(await readSources('src')).keys()];
    const imports = new Map(modules.map(({ source, dependencies }) => [source, dependencies.map((to) => to.resolved)]));
    expect(sources.filter((source) => !imports.has(source))).toEqual([]);
    expect(imports.get('src/main.ts')).toContain('src/azure/index.ts');
    expect(imports.get('src/azure/index.ts')).toContain('src/azure/key-vault.ts');
    expect(imports.get('src/grants/match-caller.ts')).toContain('src/callers/caller.ts');
  });

  it.each([
    ['src/grants/planted.ts', "import '@azure/identity';", 'rooms-know-no-azure'],
    ['src/functions/planted.ts', "import '../azure/key-vault.ts';", 'functions-only-translate'],
    ['sandbox/entra/planted.ts', "import '../../src/errors.ts';", 'sandbox-is-a-witness'],
  ])('fail the check when %s says %s', async (file, text, rule) => {
    const folder = await copyWith({ [file]: text });
    const { code, out } = await runTool(folder, 'err-long');
    await rm(folder, { recursive: true, force: true });
    expect(code).toBeGreaterThan(0);
    expect(out).toMatch(new RegExp(`error ${rule}: ${file}`));
  });

  it('pass the check without it', async () => {
    expect(await runTool(root, 'err-long')).toMatchObject({ code: 0 });
  });

  describe('fail for a forbidden import', () => {
    const cases: readonly [file: string, text: string, rule: string][] = [
      ['src/grants/planted-1.ts', "import '@azure/identity';", 'rooms-know-no-azure'],
      ['src/grants/planted-2.ts', "import type { TokenCredential } from '@azure/identity';", 'rooms-know-no-azure'],
      ['src/callers/planted-3.ts', "import '../azure/entra-keys.ts';", 'rooms-know-no-azure'],
      ['src/callers/planted-4.ts', "await import('../azure/entra-keys.ts');", 'only-main-composes'],
      ['src/issuing/planted-5.ts', "import type { HttpRequest } from '@azure/functions';", 'rooms-know-no-azure'],
      ['src/issuing/planted-6.ts', "import '../http/problem.ts';", 'rooms-know-no-azure'],
      ['src/freshness/planted-7.ts', "import type { Settings } from '../config/settings.ts';", 'only-main-composes'],
      ['src/audit/planted-8.ts', "import 'node:fs';", 'rooms-know-no-azure'],
      [
        'src/audit/planted-9.ts',
        "import { policySchema } from '../config/policy-schema.ts';\npolicySchema;",
        'policy-as-types',
      ],
      ['src/functions/planted-10.ts', "import '../azure/key-vault.ts';", 'functions-only-translate'],
      ['src/functions/planted-11.ts', "import '@azure/keyvault-secrets';", 'functions-only-translate'],
      ['src/functions/planted-12.ts', "import '../config/policy.ts';", 'functions-only-translate'],
      ['src/http/planted-13.ts', "import '../issuing/issue.ts';", 'http-knows-requests-only'],
      ['src/azure/planted-14.ts', "import '../http/problem.ts';", 'azure-implements-ports'],
      ['src/azure/planted-15.ts', "import '@azure/functions';", 'azure-implements-ports'],
      ['src/azure/planted-16.ts', "import '../config/settings.ts';", 'azure-implements-ports'],
      ['src/compose/planted-32.ts', "import '@azure/identity';", 'compose-joins'],
      ['src/compose/planted-33.ts', "import '../functions/explain.ts';", 'compose-joins'],
      ['src/grants/planted-34.ts', "import '../compose/kept.ts';", 'only-main-begins'],
      ['src/config/planted-17.ts', "import '../errors.ts';", 'config-depends-on-nothing'],
      ['src/planted-18.ts', "import './errors.ts';", 'every-file-has-a-room'],
      ['src/oidc/planted-32.ts', "import '@azure/core-rest-pipeline';", 'oidc-asks-issuers'],
      ['src/oidc/planted-33.ts', "import type { Settings } from '../config/settings.ts';", 'oidc-asks-issuers'],
      ['src/callers/planted-34.ts', "import '../oidc/get-json.ts';", 'rooms-know-no-azure'],
      ['src/azure/planted-35.ts', "import 'node:https';", 'azure-implements-ports'],
      ['src/grants/planted-19.ts', "import '../main.ts';", 'nobody-imports-main'],
      ['src/grants/planted-20.ts', "import '../../sandbox/seed.ts';", 'src-stands-alone'],
      ['src/grants/planted-21.ts', "import '../../test/architecture.test.ts';", 'src-stands-alone'],
      ['src/grants/planted-22.ts', "import './planted-22.ts';", 'no-circles'],
      ['src/grants/planted-24.ts', "import './nowhere.ts';", 'everything-resolves'],
      ['sandbox/entra/planted-25.ts', "import '../../src/errors.ts';", 'sandbox-is-a-witness'],
      [
        'sandbox/entra/planted-26.ts',
        "import type { Caller } from '../../src/callers/caller.ts';",
        'sandbox-is-a-witness',
      ],
      ['sandbox/tour/planted-27.ts', "import '../start/planted-28.ts';", 'sandbox-is-a-witness'],
      ['sandbox/start/planted-28.ts', "import '../../tools/schema.ts';", 'sandbox-uses-no-tools'],
      ['sandbox/tour/planted-29.ts', "import '../../tools/build.ts';", 'only-start-builds'],
      ['tools/planted-30.ts', "import '../test/architecture.test.ts';", 'tests-are-leaves'],
      ['test/planted-31.ts', "import '../src/main.ts';", 'nobody-imports-main'],
      ['client/planted-36.ts', "import type { Clock } from '../src/clock.ts';", 'client-stands-alone'],
      ['client/planted-37.ts', "import '@azure/identity';", 'client-stands-alone'],
      [
        'client/planted-38.ts',
        "import { isTokenCredential } from '@azure/core-auth';\nisTokenCredential;",
        'client-needs-no-package',
      ],
      ['src/callers/planted-39.ts', "import '../../client/broker-credential.ts';", 'src-stands-alone'],
    ];
    let folder = '';
    let found: Awaited<ReturnType<typeof cruise>> | undefined;

    beforeAll(async () => {
      folder = await copyWith(Object.fromEntries(cases));
      found = await cruise(folder);
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    it.each(cases)('%s: %s (%s)', (file, _text, rule) => {
      expect(found?.violations.filter(({ from }) => from === file).map(({ rule: { name } }) => name)).toContain(rule);
    });

    it('and for nothing else', () => {
      const planted = new Set(cases.map(([file]) => file));
      expect(found?.violations.filter(({ from }) => !planted.has(from))).toEqual([]);
    });
  });
});

/** The TypeScript files below some folders, path → text. */
async function readSources(...below: string[]): Promise<Map<string, string>> {
  const listed = below.map(async (folder) => {
    const names = await readdir(path.join(root, folder), { recursive: true });
    return names.filter((name) => name.endsWith('.ts')).map((name) => `${folder}/${name}`);
  });
  const names = (await Promise.all(listed)).flat().sort();
  const read = names.map(async (name) => [name, await readFile(path.join(root, name), 'utf8')] as const);
  return new Map(await Promise.all(read));
}

const filesWith = (sources: Map<string, string>, pattern: RegExp): string[] =>
  [...sources].filter(([, text]) => pattern.test(text)).map(([name]) => name);

describe('zod', () => {
  /** The named import brings every language of zod's messages into the bundle, some 360 KB. */
  const namedImport = /import\s+(type\s+)?\{[^}]*\bz\b[^}]*\}\s*from\s*['"]zod['"]/;

  it('is imported as a namespace everywhere', async () => {
    const sources = await readSources(...folders);
    expect(filesWith(sources, namedImport)).toEqual([]);
    expect(sources.size).toBeGreaterThan(100);
  });

  it('would be found in any form that brings the whole', () => {
    const quoted = "'zod'";
    for (const names of ['{ z }', '{z}', '{ type ZodError, z }', '{ z as zod }']) {
      expect(`import ${names} from ${quoted};`).toMatch(namedImport);
    }
    expect(`import * as z from ${quoted};`).not.toMatch(namedImport);
  });
});

describe('the environment', () => {
  it('is read by src/main.ts and, for the terminal, src/cli/rotate.ts alone: settings get it as an argument', async () => {
    const sources = await readSources('src');
    expect(
      filesWith(sources, /\bprocess\s*(\?\.|\.|\[)\s*['"]?env\b|\benv\b[^;]*from ['"](node:)?process['"]/),
    ).toEqual(['src/cli/rotate.ts', 'src/main.ts']);
  });

  it('is read in the sandbox only where a process starts or is started', async () => {
    const places =
      /^sandbox\/(start\.ts|start\/|host\/(main|start-host)\.ts|azurite\/|tour\/main\.ts|reference\/main\.ts)/;
    const readers = filesWith(await readSources('sandbox'), /\bprocess\.env\b/);
    expect(readers.filter((name) => !places.test(name))).toEqual([]);
    expect(readers).toContain('sandbox/start.ts');
  });
});

describe('TLS', () => {
  const weakening = /rejectUnauthorized|NODE_TLS_REJECT_UNAUTHORIZED|allowInsecureConnection|checkServerIdentity/;

  it('is weakened nowhere in src', async () => {
    expect(filesWith(await readSources('src'), weakening)).toEqual([]);
  });
});

describe('the product', () => {
  it('does not know its sandbox', async () => {
    expect(filesWith(await readSources('src'), /sandbox|azurite/i)).toEqual([]);
  });

  it('writes to the console only in src/main.ts, by way of its log, and in the two commands of src/cli, which are for the terminal', async () => {
    expect(filesWith(await readSources('src'), /\bconsole\.|process\.std(out|err)/)).toEqual([
      'src/cli/policy.ts',
      'src/cli/rotate.ts',
      'src/main.ts',
    ]);
  });
});
