import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

/** What a user gets who installs the package: its tarball, unpacked into node_modules, and no broker. */

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../..');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'client-package-'));
  const modules = path.join(folder, 'node_modules');
  await mkdir(path.join(modules, 'aml-token-broker'), { recursive: true });
  await mkdir(path.join(modules, '@azure'));
  await symlink(path.join(root, 'node_modules/@azure/core-auth'), path.join(modules, '@azure/core-auth'));
  await symlink(path.join(root, 'node_modules/@types'), path.join(modules, '@types'));
  await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: root });
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz')) ?? '';
  await run('tar', ['-xzf', tarball, '-C', path.join(modules, 'aml-token-broker'), '--strip-components=1'], {
    cwd: folder,
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const program = (wrong = '') => `
import type { TokenCredential } from '@azure/core-auth';
import { BrokerCredential, BrokerCredentialError } from 'aml-token-broker/client';
const credential: TokenCredential = new BrokerCredential({
  brokerUrl: 'https://broker.contoso.com', workspace: 'prod', caller: async () => 'token', ${wrong}
});
console.log(typeof credential.getToken, new BrokerCredentialError('m').name);
`;

it('exports aml-token-broker/client as JavaScript that runs without any other package', async () => {
  await rm(path.join(folder, 'node_modules/@azure'), { recursive: true });
  await writeFile(path.join(folder, 'use.mts'), program());
  const { stdout } = await run(process.execPath, ['use.mts'], { cwd: folder });
  expect(stdout).toBe('function BrokerCredentialError\n');
  await mkdir(path.join(folder, 'node_modules/@azure'));
  await symlink(path.join(root, 'node_modules/@azure/core-auth'), path.join(folder, 'node_modules/@azure/core-auth'));
});

it('exports aml-token-broker/client with types that a strict compiler takes, and that refuse a wrong option', async () => {
  await writeFile(path.join(folder, 'right.mts'), program());
  await writeFile(path.join(folder, 'wrong.mts'), program("workspce: 'prod'"));
  const compile = (file: string) =>
    run(
      path.join(root, 'node_modules/.bin/tsc'),
      ['--noEmit', '--strict', '--module', 'nodenext', '--types', 'node', file],
      {
        cwd: folder,
      },
    );
  await compile('right.mts');
  await expect(compile('wrong.mts')).rejects.toMatchObject({ stdout: expect.stringMatching(/workspce/) });
});

it('packs the client, and of the broker only the entry that npm adds by itself', async () => {
  const packed = await readdir(path.join(folder, 'node_modules/aml-token-broker'), { recursive: true });
  const code = packed.filter((name) => /\.[jt]s$/.test(name) && !name.startsWith('dist/client/'));
  expect(code).toEqual(['dist/main.js']);
  expect(packed).toContain('dist/client/broker-credential.js');
});
