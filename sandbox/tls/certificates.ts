import { X509Certificate } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { generate } from 'selfsigned';

export interface Certificates {
  /** Absolute path of the CA's PEM file: what a client has to trust. */
  caCertificate: string;
  /** PEM texts of the server certificate and its key, for localhost, 127.0.0.1 and ::1. */
  tls: { cert: string; key: string };
}

const DAY_MS = 86_400_000;
const LIFE_DAYS = 365;
const RENEW_BEFORE_DAYS = 30;

/**
 * Reads the sandbox's CA and server certificate from a folder, or makes both when they are missing, damaged or near their end.
 * The CA's key is never stored: whoever trusts this CA for long trusts one server certificate and no more.
 */
export async function ensureCertificates(folder: string, now: Date): Promise<Certificates> {
  await mkdir(folder, { recursive: true });
  const files = {
    ca: resolve(join(folder, 'ca.pem')),
    cert: resolve(join(folder, 'server.pem')),
    key: resolve(join(folder, 'server-key.pem')),
  };
  const stored = await readStored(files, now);
  if (stored) return { caCertificate: files.ca, tls: stored };

  const made = await makeCertificates(now);
  await writeFile(files.key, made.key, { mode: 0o600 });
  await chmod(files.key, 0o600);
  await writeFile(files.cert, made.cert);
  await writeFile(files.ca, made.ca);
  return { caCertificate: files.ca, tls: { cert: made.cert, key: made.key } };
}

async function readStored(files: { ca: string; cert: string; key: string }, now: Date) {
  try {
    const [ca, cert, key] = await Promise.all([files.ca, files.cert, files.key].map((file) => readFile(file, 'utf8')));
    if (ca === undefined || cert === undefined || key === undefined) return undefined;
    return isUsable(ca, cert, now) ? { cert, key } : undefined;
  } catch {
    // Missing or damaged: made anew.
    return undefined;
  }
}

function isUsable(ca: string, cert: string, now: Date): boolean {
  const [caParsed, certParsed] = [new X509Certificate(ca), new X509Certificate(cert)];
  const enough = now.getTime() + RENEW_BEFORE_DAYS * DAY_MS;
  const lasting = [caParsed, certParsed].every((one) => one.validToDate.getTime() > enough);
  return lasting && certParsed.verify(caParsed.publicKey);
}

async function makeCertificates(now: Date): Promise<{ ca: string; cert: string; key: string }> {
  const common = {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    // An hour back: a client whose clock is slightly behind must not refuse it.
    notBeforeDate: new Date(now.getTime() - DAY_MS / 24),
    notAfterDate: new Date(now.getTime() + LIFE_DAYS * DAY_MS),
  } as const;
  const ca = await generate([{ name: 'commonName', value: `Azure sandbox CA ${now.toISOString()}` }], {
    ...common,
    extensions: [
      { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  const server = await generate([{ name: 'commonName', value: 'localhost' }], {
    ...common,
    ca: { key: ca.private, cert: ca.cert },
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
          { type: 7, ip: '::1' },
        ],
      },
    ],
  });
  return { ca: ca.cert, cert: server.cert, key: server.private };
}
