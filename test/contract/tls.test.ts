import { X509Certificate } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureCertificates } from '../../sandbox/tls/certificates.ts';

const dayMs = 86_400_000;
const now = new Date('2026-11-22T00:00:00Z');

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'certificates-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('the sandbox certificates', () => {
  it('are a CA that may sign nothing below a server, and a server certificate for loopback', async () => {
    const { caCertificate, tls } = await ensureCertificates(folder, now);
    const ca = new X509Certificate(await readFile(caCertificate));
    const server = new X509Certificate(tls.cert);
    expect(ca.ca).toBe(true);
    expect(server.ca).toBe(false);
    expect(server.verify(ca.publicKey)).toBe(true);
    expect(server.checkHost('localhost')).toBe('localhost');
    expect(server.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(server.subjectAltName).toContain('IP Address:0:0:0:0:0:0:0:1');
    expect(server.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
  });

  it('leave no CA key behind, and the server key only to its owner', async () => {
    await ensureCertificates(folder, now);
    expect((await readdir(folder)).toSorted()).toEqual(['ca.pem', 'server-key.pem', 'server.pem']);
    expect((await stat(join(folder, 'server-key.pem'))).mode & 0o777).toBe(0o600);
  });

  it('are used again by the next start', async () => {
    const first = await ensureCertificates(folder, now);
    const second = await ensureCertificates(folder, new Date(now.getTime() + 100 * dayMs));
    expect(second).toEqual(first);
  });

  it('are renewed when they are near their end, or damaged', async () => {
    const first = await ensureCertificates(folder, now);
    const renewed = await ensureCertificates(folder, new Date(now.getTime() + 340 * dayMs));
    expect(renewed.tls.cert).not.toBe(first.tls.cert);
    await writeFile(join(folder, 'server.pem'), 'damaged');
    const repaired = await ensureCertificates(folder, now);
    expect(new X509Certificate(repaired.tls.cert).subject).toBe('CN=localhost');
    expect(repaired.tls.cert).not.toBe(renewed.tls.cert);
  });

  it('are accepted by a client that trusts the CA, and by no other', async () => {
    const { caCertificate, tls } = await ensureCertificates(folder, new Date());
    const server = createServer(tls).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const address: AddressInfo | string | null = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    try {
      expect(await handshake(port, await readFile(caCertificate, 'utf8'))).toBe('authorized');
      expect(await handshake(port, undefined)).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE');
    } finally {
      server.close();
    }
  });
});

function handshake(port: number, ca: string | undefined): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ...(ca === undefined ? {} : { ca }) });
    socket.once('secureConnect', () => {
      socket.destroy();
      resolve('authorized');
    });
    socket.once('error', (error) => resolve('code' in error ? String(error.code) : error.message));
  });
}
