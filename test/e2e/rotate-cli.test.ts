import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { BROKER_IDENTITY, TENANT_ID, TRAINER } from '../../sandbox/seed.ts';
import { parsePolicy } from '../../src/config/policy.ts';
import { sandboxPolicy } from '../support/broker.ts';
import { startTestSandbox, type TestSandbox } from '../support/sandbox.ts';

const command = path.resolve(import.meta.dirname, '../../src/cli/rotate.ts');

interface Run {
  code: number | null;
  out: string;
  err: string;
}

const madePassword = z.object({ keyId: z.string(), secretText: z.string() });
const callList = z.array(z.looseObject({ service: z.string(), method: z.string(), path: z.string() }));
const stateAnswer = z.looseObject({
  applications: z.array(z.looseObject({ id: z.string(), passwords: z.array(z.looseObject({ keyId: z.string() })) })),
});

let sandbox: TestSandbox;
let settings: string;
/** Secrets that were ever made: no output may hold one. */
const secrets = new Set<string>();

beforeAll(async () => {
  sandbox = await startTestSandbox({ PROOF_SPREAD_SECONDS: '1', SANDBOX_PROPAGATION_SECONDS: '0' });
  settings = await writeSettings('settings.json', await sandboxPolicy());
  // What a first rotation leaves behind. Where it is missing, each look makes sure of that for some seconds.
  const [keyId = ''] = await passwords();
  const tags = { keyId, rotation: TRAINER.secretName, rotationId: 'seed' };
  await operate('set-secret', { name: `${TRAINER.secretName}-pending`, value: 'not tried again', tags });
});
afterAll(() => sandbox.stop());
beforeEach(async () => {
  await sandbox.control('DELETE', '/faults');
});

async function writeSettings(name: string, policy: string, changes: Record<string, string> = {}): Promise<string> {
  const policyFile = path.join(sandbox.folder, `${name}.yaml`);
  await writeFile(policyFile, policy);
  const values = {
    ...sandbox.brokerSettings(),
    PUBLIC_URL: 'https://localhost',
    BROKER_ROLE: 'all',
    POLICY: policyFile,
    ...changes,
  };
  const file = path.join(sandbox.folder, name);
  await writeFile(file, JSON.stringify({ IsEncrypted: false, Values: values }));
  return file;
}

async function operate(name: string, body: Record<string, unknown>): Promise<unknown> {
  const answer = await sandbox.control('POST', `/operations/${name}`, body);
  if (!answer.ok) throw new Error(`The sandbox refused ${name}: ${await answer.text()}`);
  return answer.json();
}

const removePassword = (keyId: string) => operate('remove-password', { application: TRAINER.objectId, keyId });

/** Runs the command as a person would whose environment holds nothing of Azure. Its input is no terminal. */
async function rotate(words: readonly string[], env: Record<string, string> = {}, file = settings): Promise<Run> {
  const child = spawn(process.execPath, [command, ...words, '--settings', file], {
    cwd: sandbox.folder,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const run: Run = { code: null, out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    run.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    run.err += text;
  });
  const { promise, resolve } = Promise.withResolvers<number | null>();
  child.on('close', resolve);
  run.code = await promise;
  for (const secret of secrets) expect(run.out + run.err).not.toContain(secret);
  expect(run.err).not.toMatch(/^ {4}at /m);
  return run;
}

async function addPassword(
  displayName = 'by hand',
  lifetimeSeconds?: number,
): Promise<{ keyId: string; secretText: string }> {
  const body = { application: TRAINER.objectId, displayName, lifetimeSeconds };
  const made = madePassword.parse(await operate('add-password', body));
  secrets.add(made.secretText);
  return made;
}

async function passwords(): Promise<string[]> {
  const { applications } = stateAnswer.parse(await (await sandbox.control('GET', '/state')).json());
  return applications.find(({ id }) => id === TRAINER.objectId)?.passwords.map(({ keyId }) => keyId) ?? [];
}

async function signsIn(secretText: string): Promise<boolean> {
  const answer = await fetch(`${sandbox.endpoints.entra}/${TENANT_ID}/oauth2/v2.0/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: TRAINER.appId,
      client_secret: secretText,
      scope: 'https://graph.microsoft.com/.default',
    }),
  });
  await answer.body?.cancel();
  return answer.ok;
}

/** What a consumer reads: the current version's value. */
async function currentSecret(name: string): Promise<string> {
  const token = await sandbox.identityToken('https://vault.azure.net');
  const answer = await fetch(`${sandbox.endpoints.keyVault}/secrets/${name}?api-version=7.5`, {
    headers: { Authorization: `Bearer ${token}` },
  });
  const { value } = z.looseObject({ value: z.string() }).parse(await answer.json());
  secrets.add(value);
  return value;
}

/** As `az ad sp create-for-rbac --json-auth` prints it. */
async function authFile(secretText: string, changes: Record<string, string> = {}): Promise<string> {
  const file = path.join(sandbox.folder, `${randomUUID()}.json`);
  const json = {
    clientId: TRAINER.appId,
    clientSecret: secretText,
    subscriptionId: '00000000-0000-4000-8000-00000000000a',
    tenantId: TENANT_ID,
    activeDirectoryEndpointUrl: 'https://login.microsoftonline.com',
    resourceManagerEndpointUrl: 'https://management.azure.com/',
    activeDirectoryGraphResourceId: 'https://graph.windows.net/',
    sqlManagementEndpointUrl: 'https://management.core.windows.net:8443/',
    galleryEndpointUrl: 'https://gallery.azure.com/',
    managementEndpointUrl: 'https://management.core.windows.net/',
    ...changes,
  };
  await writeFile(file, JSON.stringify(json, null, 2));
  return file;
}

describe('npm run rotate -- plan', () => {
  it('shows when the next rotation is due, and exits with 0 while nothing needs a person', async () => {
    const run = await rotate(['plan']);
    expect(run.out).toMatch(/^trainer-password: /);
    expect(run.out).toMatch(/^ {2}due +\d{4}-\d\d-\d\dT.*, in 30 d$/m);
    expect(run.out).toMatch(/^fraud-keys: keys of prod\/fraud-turns, not_looked_at/m);
    expect(run.out).toMatch(/nothing needs a person\.$/m);
    expect(run.code, run.out + run.err).toBe(0);
  });

  it('only reads: every call that it makes is a GET', async () => {
    await sandbox.control('DELETE', '/calls');
    await rotate(['plan']);
    const calls = callList.parse(await (await sandbox.control('GET', '/calls')).json());
    expect(new Set(calls.map(({ service }) => service))).toEqual(
      new Set(['managedIdentity', 'keyVault', 'graph', 'tables']),
    );
    expect(calls.filter(({ method }) => method !== 'GET')).toEqual([]);
  });

  it('names a foreign and over-long password with the command that removes it, and exits with 1', async () => {
    const { keyId } = await addPassword('port\u001b[31mal', 400 * 86_400);
    const run = await rotate(['plan']);
    expect(run.out).toMatch(
      new RegExp(`^ {2}foreign +${keyId} "port\\?\\[31mal", ends .*az ad app credential delete`, 'm'),
    );
    expect(run.out).toMatch(new RegExp(`^ {2}over-long +${keyId} lives 400 d, lifetime is 90 d`, 'm'));
    expect(run.out).toContain('1 foreign, 1 over-long');
    expect(run.code).toBe(1);
    await removePassword(keyId);
  });

  it('names an orphan and when it goes, which needs nobody', async () => {
    const { keyId } = await addPassword('aml-token-broker/trainer-password/lost', 90 * 86_400);
    const run = await rotate(['plan']);
    expect(run.out).toMatch(new RegExp(`^ {2}orphaned +${keyId}: made \\d+ s ago, never current, goes at `, 'm'));
    expect(run.code).toBe(0);
    await removePassword(keyId);
  });

  it('names each problem of the settings and exits with 2', async () => {
    const file = await writeSettings('broken.json', 'issuers: {}\nsurprise: true\n', { KEY_VAULT_URL: 'nowhere' });
    const run = await rotate(['plan'], {}, file);
    expect(run.err).toContain('KEY_VAULT_URL: must be an https URL');
    expect(run.err).toContain('line 2: surprise: is not a known key');
    expect(run.code).toBe(2);
  });

  it('takes settings of the environment before those of the file', async () => {
    const run = await rotate(['plan'], { PROOF_COUNT: 'many' });
    expect(run.err).toContain('PROOF_COUNT');
    expect(run.code).toBe(2);
  });
});

describe('npm run rotate -- import', () => {
  it('takes a file of --json-auth: the new secret is current, the imported one signs in for the overlap (R2)', async () => {
    const { keyId, secretText } = await addPassword();
    const run = await rotate(['import', await authFile(secretText), '--name', 'from-json']);
    expect(run.code, run.out + run.err).toBe(0);
    const current = await currentSecret('from-json');
    expect(current).not.toBe(secretText);
    expect(await signsIn(current)).toBe(true);
    expect(await signsIn(secretText)).toBe(true);
    expect(await passwords()).toContain(keyId);
    expect(run.out).toMatch(new RegExp(`The imported password ${keyId} signs in until .*once the config is deployed`));
    expect(run.out).not.toContain(current);
  });

  it('prints what to add to the policy: with it, the policy is good and plan finds nothing foreign in it', async () => {
    const { secretText } = await addPassword();
    const run = await rotate(['import', await authFile(secretText), '--name', 'pasted', '--overlap', '10m']);
    const printed = run.out.slice(run.out.indexOf('rotations:'), run.out.indexOf('# An identity'));
    const policy = (await sandboxPolicy()).replace('rotations:\n', printed);
    expect(parsePolicy(policy)).toMatchObject({
      ok: true,
      value: { rotations: { pasted: { clientId: TRAINER.appId, application: TRAINER.objectId, overlap: 600 } } },
    });
    const shown = await rotate(['plan'], {}, await writeSettings('pasted.json', policy));
    expect(shown.out).toMatch(/^pasted: settled/m);
    expect(shown.out).toMatch(/^ {2}previous /m);
  });

  it('takes the environment and .env files, names the secret itself, and goes on where an earlier run was', async () => {
    const { keyId, secretText } = await addPassword();
    const words = ['--overlap', '2s'];
    const variables = { AML_TENANT_ID: TENANT_ID, AML_PRINCIPAL_ID: TRAINER.appId, AML_PRINCIPAL_PASS: secretText };
    const lines = Object.entries(variables).map(([name, value]) => `${name}='${value}'\n`);
    await writeFile(path.join(sandbox.folder, '.env'), lines.join(''));
    expect(await rotate(['import', '--env', ...words])).toMatchObject({ code: 0 });
    const name = `sp-${TRAINER.appId}-password`;
    const current = await currentSecret(name);

    const azure = { AZURE_TENANT_ID: TENANT_ID, AZURE_CLIENT_ID: TRAINER.appId, AZURE_CLIENT_SECRET: secretText };
    await vi.waitFor(async () => {
      // Another round of the same import: after the overlap it retires the imported password.
      await rotate(['import', '--env', ...words], azure);
      expect(await passwords()).not.toContain(keyId);
    }, 20_000);
    expect(await signsIn(secretText)).toBe(false);
    expect(await currentSecret(name)).toBe(current);
    expect(await signsIn(current)).toBe(true);
  });

  it('refuses a name that holds something else, and writes nothing', async () => {
    const { keyId, secretText } = await addPassword();
    await sandbox.control('DELETE', '/calls');
    const run = await rotate(['import', await authFile(secretText), '--name', TRAINER.secretName]);
    expect(run.err).toContain('holds something else. Choose another --name');
    expect(run.code).toBe(1);
    const calls = callList.parse(await (await sandbox.control('GET', '/calls')).json());
    const writes = calls.filter(({ method, service }) => method !== 'GET' && service !== 'entra');
    expect(writes).toEqual([]);
    await removePassword(keyId);
  });

  it('refuses a client id that Entra does not know, by its code', async () => {
    const { keyId, secretText } = await addPassword();
    const run = await rotate(['import', await authFile(secretText, { clientId: randomUUID() })]);
    expect(run.err).toMatch(/Entra does not accept the tenant or the client id: .*AADSTS700016/);
    expect(run.code).toBe(1);
    await removePassword(keyId);
  });

  it('refuses a secret on the command line and a file that it cannot read, and repeats neither', async () => {
    const { keyId, secretText } = await addPassword();
    const typed = await rotate(['import', '--password', secretText]);
    expect(typed.err).toContain('never given as an argument');
    const instead = await rotate(['import', secretText]);
    expect(instead.err).toContain('cannot be read');
    expect([typed.code, instead.code]).toEqual([2, 2]);
    await removePassword(keyId);
  });
});

describe('npm run rotate', () => {
  it('tells how it is used', async () => {
    const run = await rotate(['--help']);
    expect(run.out).toContain('npm run rotate -- import FILE');
    expect(run.code).toBe(0);
  });

  it('says what to do when nobody is signed in', async () => {
    await sandbox.control('POST', '/faults', { service: 'managedIdentity', status: 500 });
    const run = await rotate(['plan']);
    expect(run.err).toMatch(/sign-in.*: unavailable[\s\S]*az login/);
    expect(run.code).toBe(1);
  });

  it('calls nothing foreign or gone that it could not read', async () => {
    await sandbox.control('POST', '/faults', { service: 'graph', status: 503, retryAfterSeconds: 1 });
    const run = await rotate(['plan']);
    expect(run.out).toMatch(/^trainer-password: unreadable/m);
    expect(run.out).toContain('0 foreign');
    expect(run.code).toBe(1);
  });

  // The last: nothing gives the application its owner back.
  it('names an application that the broker does not own, with the administrator’s command', async () => {
    const { secretText } = await addPassword();
    await operate('drop-owner', { application: TRAINER.objectId });
    const shown = await rotate(['plan']);
    const owner = `--owner-object-id ${BROKER_IDENTITY.oid}`;
    expect(shown.out).toMatch(
      new RegExp(`^ {2}not-owned .*az ad app owner add --id ${TRAINER.objectId} ${owner}`, 'm'),
    );
    expect(shown.out).toContain('1 not-owned; 1 needs a person.');
    expect(shown.code).toBe(1);
    const run = await rotate(['import', await authFile(secretText)]);
    expect(run.err).toContain(`az ad app owner add --id ${TRAINER.appId} ${owner}`);
    expect(run.code).toBe(1);
  });
});
