import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Writes a certificate and its key (PEM texts) as files, for programs such as Azurite that take them so. */
export async function writeCertificate(folder: string, { cert, key }: { cert: string; key: string }) {
  const files = { certFile: join(folder, 'server.pem'), keyFile: join(folder, 'server-key.pem') };
  await mkdir(folder, { recursive: true });
  await writeFile(files.certFile, cert);
  await writeFile(files.keyFile, key, { mode: 0o600 });
  return files;
}
