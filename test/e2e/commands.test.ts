import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import {
  type Command,
  copyProject,
  descendants,
  type ProjectCopy,
  processesOfGroup,
  terminalPath,
  untilReady,
} from './fixtures/project-copy.ts';

const HOST = 'sandbox/host/main.ts';
const JWT = /eyJ[\w-]+\.[\w-]+\./;
/** The form of an application's password. */
const PASSWORD = /\w{3}8Q~/;
const sh = promisify(execFile);

const settingsFile = z.strictObject({ IsEncrypted: z.literal(false), Values: z.record(z.string(), z.string()) });
const readSettings = (file: string) => settingsFile.parse(JSON.parse(readFileSync(file, 'utf8'))).Values;

/** Refreshes often enough, and proves a new secret quickly enough, for a short test. */
const QUICK = {
  SANDBOX_PROPAGATION_SECONDS: '2',
  PROOF_SPREAD_SECONDS: '2',
  SANDBOX_ENDPOINT_TOKEN_SECONDS: '20',
  SANDBOX_ENDPOINT_REFRESH_AFTER_SECONDS: '6',
  REFRESH_SCHEDULE: '* * * * * *',
};

async function expectAllGone(command: Command, withinMs: number): Promise<void> {
  const from = performance.now();
  await command.ended;
  await expect.poll(() => processesOfGroup(command.pid), { interval: 20, timeout: withinMs }).toEqual([]);
  expect(performance.now() - from).toBeLessThan(withinMs);
}

async function holdPort(port = 0): Promise<{ server: Server; port: number }> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve());
  });
  const address = server.address();
  return { server, port: typeof address === 'object' && address ? address.port : 0 };
}

/** The first of `count` ports in a row that are free now. */
async function findRow(count: number): Promise<number> {
  for (let first = 20_000 + (process.pid % 5000); ; first += count) {
    const held: Server[] = [];
    try {
      for (let at = 0; at < count; at++) held.push((await holdPort(first + at)).server);
      return first;
    } catch {
      // One of them is taken: try the next row.
    } finally {
      await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
    }
  }
}

describe('npm start', () => {
  let project: ProjectCopy;
  let started: Command;
  let readyMs: number;

  beforeAll(async () => {
    project = await copyProject();
    const from = performance.now();
    started = project.run('npm', ['start'], { ...QUICK, PATH: terminalPath() });
    await untilReady(started, project.runFile('endpoints.json'));
    readyMs = performance.now() - from;
  });
  afterAll(() => project.remove());

  it('is ready within 10 s', () => {
    expect(readyMs).toBeLessThan(10_000);
  });

  it('writes endpoints.json: names and URLs without a trailing slash, and the CA’s absolute path', async () => {
    const { caCertificate = '', ...urls } = project.endpoints();
    expect(Object.keys(urls).sort()).toEqual([
      'arm',
      'audit',
      'broker',
      'brokerTls',
      'control',
      'entra',
      'graph',
      'keyVault',
      'managedIdentity',
      'scoring',
      'tables',
    ]);
    for (const url of Object.values(urls)) expect(url).toMatch(/^https?:\/\/(localhost|127\.0\.0\.1):\d+(\/[a-z]+)?$/);
    expect(readFileSync(caCertificate, 'utf8')).toContain('BEGIN CERTIFICATE');
    expect((await fetch(`${urls.broker}/health/ready`)).status).toBe(200);
  });

  it('writes the settings that the broker got in the form of Functions', () => {
    expect(readSettings(project.runFile('local.settings.json'))).toMatchObject({
      PUBLIC_URL: project.endpoints().brokerTls,
      BROKER_ROLE: 'all',
      AZURE_CLOUD: 'custom',
      POLICY: join(project.folder, 'sandbox/broker.yaml'),
    });
  });

  it('prints where everything is and no token', () => {
    const text = started.output();
    for (const url of Object.values(project.endpoints()).filter((value) => value.startsWith('http')))
      expect(text).toContain(url);
    expect(text).toContain('npm run tour');
    expect(text).toContain(join('.sandbox', 'broker.log'));
    expect(text).not.toMatch(JWT);
  });

  it('prints three curl commands that work as they are', async () => {
    const commands = started
      .output()
      .split('\n')
      .filter((line) => line.startsWith('curl '));
    expect(commands).toHaveLength(3);
    const env = { ...process.env, PATH: terminalPath() };
    const answers = await Promise.all(commands.map((command) => sh('sh', ['-c', command], { env })));
    expect(answers.map(({ stdout }) => Object.keys(JSON.parse(stdout)).sort())).toEqual([
      ['accessToken', 'authMode', 'expiresOn', 'refreshBy', 'scoringUri', 'stale', 'tokenType'],
      ['accessToken', 'audience', 'expiresOn', 'identity', 'refreshBy', 'tokenType'],
      ['workspaces'],
    ]);
  });

  it('is walked through by npm run tour, which prints one line for each step, no token, and exits with 0', {
    timeout: 170_000,
  }, async () => {
    const tour = project.run('npm', ['run', '--silent', 'tour'], { PATH: terminalPath() });
    expect((await tour.ended).code, tour.output()).toBe(0);
    const lines = tour.output().trim().split('\n');
    expect(lines.slice(0, -1).map((line) => line.replace(/ {2,}/g, '  ').split('  ').slice(0, 2).join(' '))).toEqual([
      'ok caller token',
      'ok endpoint token',
      'ok scoring',
      'ok refresh',
      'ok scoring again',
      'ok workspace token',
      'ok stranger',
      'ok endpoint key',
      'ok operators only',
      'ok rotation asked',
      'ok new secret',
      'ok overlap',
      'ok old one removed',
      'ok no beat missed',
      'ok endpoint key turned',
    ]);
    expect(lines[3]).toContain('one call to Azure');
    expect(lines[13]).toContain('the broker had to read the secret again');
    expect(tour.output()).not.toMatch(JWT);
    expect(tour.output()).not.toMatch(PASSWORD);
  });

  it('keeps the tokens that the tour was given out of the broker’s log', () => {
    const log = readFileSync(project.runFile('broker.log'), 'utf8');
    expect(log).toContain('refreshEndpointTokens');
    expect(log).toContain('"step":"promote"');
    expect(log).not.toMatch(JWT);
    expect(log).not.toMatch(PASSWORD);
  });

  it.each([
    ['scoring', { service: 'scoring', status: 503 }, /^FAIL {2}scoring +expected status 200, got 503/m],
    [
      'endpoint token',
      { service: 'audit', status: 503 },
      /^FAIL {2}endpoint token +expected status 200, got 503 audit_unavailable/m,
    ],
  ])('fails the tour with exit code 1 when the step "%s" goes wrong', async (_, fault, line) => {
    const { control } = project.endpoints();
    const headers = { 'content-type': 'application/json' };
    expect((await fetch(`${control}/faults`, { method: 'POST', headers, body: JSON.stringify(fault) })).ok).toBe(true);
    try {
      const tour = project.run(process.execPath, ['sandbox/tour/main.ts']);
      expect((await tour.ended).code).toBe(1);
      expect(tour.output()).toMatch(line);
    } finally {
      await fetch(`${control}/faults`, { method: 'DELETE', headers });
    }
  });

  it('leaves its files alone when a second one finds the port busy', async () => {
    const brokerPort = new URL(project.endpoints().broker ?? '').port;
    const second = project.run(process.execPath, ['sandbox/start.ts'], { BROKER_PORT: brokerPort });
    expect((await second.ended).code).toBe(1);
    expect(second.output()).toContain(`Port ${brokerPort} is in use`);
    expect(project.endpoints().broker).toContain(brokerPort);
  });

  it('ends with all its processes within 1 s of SIGTERM to its group, and removes endpoints.json', async () => {
    expect(processesOfGroup(started.pid).length).toBeGreaterThan(2);
    started.signalGroup('SIGTERM');
    await expectAllGone(started, 1000);
    expect(existsSync(project.runFile('endpoints.json'))).toBe(false);
  });
});

describe('npm start and what may go wrong', () => {
  let project: ProjectCopy;
  beforeAll(async () => {
    project = await copyProject();
  });
  afterAll(() => project.remove());

  const holders: Server[] = [];
  afterEach(() => {
    for (const holder of holders.splice(0)) holder.close();
  });

  it('names a busy broker port and the setting that changes it, and leaves nothing running', async () => {
    const { server, port } = await holdPort();
    holders.push(server);
    const command = project.run(process.execPath, ['sandbox/start.ts'], { BROKER_PORT: String(port) });
    expect((await command.ended).code).toBe(1);
    expect(command.output().trim()).toMatch(new RegExp(`^Port ${port} is in use\\. .*BROKER_PORT`));
    await expectAllGone(command, 1000);
    expect(existsSync(project.runFile('endpoints.json'))).toBe(false);
  });

  it('lists every problem of a policy to try out, each with its line, and leaves nothing running', async () => {
    writeFileSync(join(project.folder, 'mine.yaml'), 'issuers: {}\nsurprise: true\n');
    const settings = { POLICY: 'mine.yaml', SANDBOX_PORT: '0', BROKER_PORT: '0' };
    const command = project.run(process.execPath, ['sandbox/start.ts'], settings);
    expect((await command.ended).code).toBe(1);
    expect(command.output()).toContain('line 2: surprise: is not a known key');
    await expectAllGone(command, 1000);
  });

  it('names a busy port of the sandbox and the setting that changes it', async () => {
    const first = await findRow(13);
    holders.push((await holdPort(first + 4)).server);
    const command = project.run(process.execPath, ['sandbox/start.ts'], { SANDBOX_PORT: String(first) });
    expect((await command.ended).code).toBe(1);
    expect(command.output().trim()).toMatch(new RegExp(`^Port ${first + 4} is in use\\. .*SANDBOX_PORT`));
  });

  it('lists wrong settings', async () => {
    const command = project.run(process.execPath, ['sandbox/start.ts'], { SANDBOX_ENDPOINT_TOKEN_SECONDS: 'long' });
    expect((await command.ended).code).toBe(1);
    expect(command.output()).toContain('SANDBOX_ENDPOINT_TOKEN_SECONDS must be');
  });

  it('starts over what a kill -9 left, on the same ports', async () => {
    const first = await findRow(13);
    const ports = { SANDBOX_PORT: String(first), BROKER_PORT: String(first + 12) };
    const killed = await project.start([], ports);
    process.kill(killed.pid, 'SIGKILL');
    await killed.ended;
    expect(existsSync(project.runFile('endpoints.json'))).toBe(true);
    const again = await project.start([], ports);
    expect(project.endpoints()).toMatchObject({
      broker: `http://localhost:${first + 12}`,
      brokerTls: `https://localhost:${first}`,
    });
    await expect.poll(() => processesOfGroup(killed.pid), { timeout: 2000 }).toEqual([]);
    again.signalGroup('SIGINT');
    expect((await again.ended).code).toBe(0);
    await expectAllGone(again, 1000);
  });

  it('ends when npm was killed', async () => {
    const command = project.run('npm', ['start'], { PATH: terminalPath() });
    await untilReady(command, project.runFile('endpoints.json'));
    process.kill(command.pid, 'SIGKILL');
    await expectAllGone(command, 2000);
    expect(existsSync(project.runFile('endpoints.json'))).toBe(false);
  });

  it('says so with the last lines and stops all when the broker’s host dies', async () => {
    const command = await project.start();
    const [host = 0] = descendants(command.pid, HOST);
    process.kill(host, 'SIGKILL');
    expect((await command.ended).code).toBe(1);
    expect(command.output()).toContain('The broker ended by itself');
    await expectAllGone(command, 1000);
    expect(existsSync(project.runFile('endpoints.json'))).toBe(false);
  });

  it('is what npm run tour asks for when nothing runs', async () => {
    const tour = project.run(process.execPath, ['sandbox/tour/main.ts']);
    expect((await tour.ended).code).toBe(1);
    expect(tour.output()).toContain('npm start');
  });
});

describe('npm run sandbox', () => {
  let project: ProjectCopy;
  let first: number;
  beforeAll(async () => {
    project = await copyProject();
    first = await findRow(13);
    await project.start(['--without-broker'], { SANDBOX_PORT: String(first), BROKER_PORT: '7071' });
  });
  afterAll(() => project.remove());

  it('runs all but the broker', async () => {
    const { broker, control, ...rest } = project.endpoints();
    expect(broker).toBe('http://localhost:7071');
    expect(rest).not.toHaveProperty('brokerTls');
    expect((await fetch(`${control}/state`)).status).toBe(200);
  });

  it('writes the settings for func start, of which local.settings.sample.json shows those of the default ports', () => {
    const written = readSettings(project.runFile('local.settings.json'));
    const sample = readSettings(join(project.folder, 'local.settings.sample.json'));
    const toDefault = (text: string) =>
      text
        .replace(/:(\d{4,5})\b/g, (all, port) =>
          Number(port) >= first && Number(port) < first + 13 ? `:${Number(port) - first + 7080}` : all,
        )
        .replace(`${project.folder}/`, '');
    const asByDefault = Object.fromEntries(Object.entries(written).map(([name, value]) => [name, toDefault(value)]));
    expect(sample).toEqual(asByDefault);
  });
});
