import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { type Sandbox, startSandbox } from '../sandbox.ts';
import { readSandboxSettings } from '../settings.ts';
import { compareFolder, listExamples } from './compare-folder.ts';
import { allSame, formatTable } from './table.ts';
import { createWorld } from './world.ts';

/** `npm run test:reference -- FOLDER`: compares the sandbox's answers with a folder of wire examples. */
async function main(folder: string | undefined): Promise<number> {
  if (folder === undefined) {
    console.error('Name the folder of the wire examples: npm run test:reference -- FOLDER');
    return 2;
  }
  const names = await listExamples(folder);
  const workFolder = await mkdtemp(join(tmpdir(), 'reference-'));
  let sandbox: Sandbox | undefined;
  try {
    sandbox = await startSandbox({ folder: workFolder, settings: readSandboxSettings(settings), firstPort: 0 });
    tls.setDefaultCACertificates([...tls.getCACertificates('default'), await readFile(sandbox.caCertificate, 'utf8')]);
    const rows = await compareFolder(folder, names, worldOf(sandbox));
    for (const line of formatTable(rows)) console.log(line);
    return allSame(rows) ? 0 : 1;
  } finally {
    await sandbox?.stop();
    await rm(workFolder, { recursive: true, force: true });
  }
}

/** Lifetimes as Azure has them, and changes that are known at once. */
const settings = {
  SANDBOX_ENDPOINT_TOKEN_SECONDS: '86400',
  SANDBOX_ENDPOINT_REFRESH_AFTER_SECONDS: '43200',
  SANDBOX_PROPAGATION_SECONDS: '0',
};

function worldOf(sandbox: Sandbox) {
  const { IDENTITY_ENDPOINT: identityEndpoint, IDENTITY_HEADER: identityHeader } = sandbox.brokerSettings();
  if (identityEndpoint === undefined || identityHeader === undefined) {
    throw new Error('The sandbox names no identity endpoint; correct brokerSettings().');
  }
  return createWorld({ urls: sandbox.endpoints, identityEndpoint, identityHeader, tls: sandbox.tls });
}

main(process.argv[2]).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 2;
  },
);
