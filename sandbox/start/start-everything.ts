import { join, resolve } from 'node:path';
import { build } from '../../tools/build.ts';
import { startCoreToolsStorage } from '../azurite/core-tools-storage.ts';
import { PortBusyError } from '../host/port-busy-error.ts';
import { type Sandbox, startSandbox } from '../sandbox.ts';
import { readSandboxSettings, SANDBOX_PORT_COUNT, type SandboxSettings } from '../settings.ts';
import { completeSettings, startBroker } from './broker.ts';
import { BROKER_LOG_FILE, FOLDER, openRunFiles, type RunFiles, SETTINGS_FILE } from './files.ts';
import { greetingWithBroker, greetingWithoutBroker } from './greeting.ts';
import type { Lifetime } from './lifetime.ts';
import { findFreePort, requireFreePorts, type WantedPort } from './ports.ts';

export interface StartOptions {
  /** False: all but the broker, for `func start`. */
  withBroker: boolean;
  environment: Record<string, string | undefined>;
  print: (text: string) => void;
  lifetime: Lifetime;
}

/** Core Tools keep their own books in a blob and a queue service, on the two ports after the sandbox's. */
const CORE_TOOLS_PORT_COUNT = 2;

/** Builds and starts all, writes the run's files and prints what runs where. Rejects with a message for a person. */
export async function startEverything({ withBroker, environment, print, lifetime }: StartOptions): Promise<void> {
  const settings = readSandboxSettings(environment);
  await requireFreePorts(wantedPorts(settings, withBroker));
  const files = openRunFiles(FOLDER);
  lifetime.onEnd(() => files.removeEndpoints());

  const starting = startSandbox({ folder: files.folder, settings, firstPort: settings.sandboxPort });
  lifetime.onEnd(async () => (await starting).stop());
  const [sandbox] = await Promise.all([starting, build()]);
  const finish = withBroker ? finishWithBroker : finishWithoutBroker;
  await finish({ settings, sandbox, files, environment, print, lifetime });
}

interface Started extends Pick<StartOptions, 'environment' | 'print' | 'lifetime'> {
  settings: SandboxSettings;
  sandbox: Sandbox;
  files: RunFiles;
}

async function finishWithBroker({ settings, sandbox, files, environment, print, lifetime }: Started): Promise<void> {
  const tlsPort = settings.sandboxPort || (await findFreePort());
  const values = completeSettings(sandbox.brokerSettings(), `https://localhost:${tlsPort}`, environment);
  files.writeSettings(values);
  const logFile = join(files.folder, BROKER_LOG_FILE);
  const urls = await startBroker({
    settings: values,
    port: settings.brokerPort,
    tlsPort,
    tls: sandbox.tls,
    log: files.appendBrokerLog,
    logFile,
    lifetime,
  }).catch((error: unknown) => {
    throw error instanceof PortBusyError ? new Error(portMessage(error.port, settings)) : error;
  });
  files.writeEndpoints({ ...urls, ...sandbox.endpoints, caCertificate: sandbox.caCertificate });
  print(greetingWithBroker({ ...urls, endpoints: sandbox.endpoints, logFile }));
}

async function finishWithoutBroker({ settings, sandbox, files, environment, print, lifetime }: Started): Promise<void> {
  const { sandboxPort, brokerPort } = settings;
  const storage = await startCoreToolsStorage({
    folder: resolve(files.folder),
    blobPort: sandboxPort && sandboxPort + SANDBOX_PORT_COUNT,
    queuePort: sandboxPort && sandboxPort + SANDBOX_PORT_COUNT + 1,
  });
  lifetime.onEnd(() => storage.stop());
  const broker = `http://localhost:${brokerPort}`;
  files.writeSettings({
    FUNCTIONS_WORKER_RUNTIME: 'node',
    AzureWebJobsStorage: storage.connectionString,
    ...completeSettings(sandbox.brokerSettings(), broker, environment),
  });
  files.writeEndpoints({ broker, ...sandbox.endpoints, caCertificate: sandbox.caCertificate });
  const settingsFile = join(files.folder, SETTINGS_FILE);
  print(greetingWithoutBroker({ brokerPort, endpoints: sandbox.endpoints, settingsFile }));
}

function wantedPorts({ sandboxPort, brokerPort }: SandboxSettings, withBroker: boolean): WantedPort[] {
  const count = SANDBOX_PORT_COUNT + (withBroker ? 0 : CORE_TOOLS_PORT_COUNT);
  const remedy = `set SANDBOX_PORT to the first of ${count} free ports, for example SANDBOX_PORT=17080`;
  const ports: WantedPort[] = [];
  if (sandboxPort !== 0) for (let at = 0; at < count; at++) ports.push({ port: sandboxPort + at, remedy });
  if (withBroker && brokerPort !== 0) {
    ports.push({ port: brokerPort, remedy: 'set BROKER_PORT to a free one, for example BROKER_PORT=17071' });
  }
  return ports;
}

/** For a port that was taken between the look at the start and the broker's own attempt. */
function portMessage(port: number, settings: SandboxSettings): string {
  const wanted = wantedPorts(settings, true).find((one) => one.port === port);
  return `Port ${port} is in use. Stop the program that holds it${wanted ? `, or ${wanted.remedy}` : ''}.`;
}
