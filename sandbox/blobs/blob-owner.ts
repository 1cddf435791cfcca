import { request as httpsRequest } from 'node:https';

export interface BlobOwnerOptions {
  azuritePort: number;
  account: string;
  /** PEM text of the certificate that Azurite serves. */
  certificate: string;
  /** A token that Azurite takes. */
  token: () => Promise<string>;
}

/** What the owner of a storage account does by hand: straight to Azurite, past the proxy that callers go through. */
export interface BlobOwner {
  makeContainer(container: string): Promise<void>;
  put(container: string, blob: string, text: string): Promise<void>;
  remove(container: string, blob: string): Promise<void>;
}

const API_VERSION = '2023-11-03';

/**
 * Writes blobs (Create Container, Put Blob, Delete Blob).
 *
 * Source: https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
 */
export function createBlobOwner(options: BlobOwnerOptions): BlobOwner {
  const send = async (method: string, path: string, headers: Record<string, string>, text = ''): Promise<number> => {
    const authorization = `Bearer ${await options.token()}`;
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const outgoing = httpsRequest({
      host: '127.0.0.1',
      port: options.azuritePort,
      servername: 'localhost',
      ca: options.certificate,
      allowPartialTrustChain: true,
      method,
      path: `/${options.account}/${path}`,
      headers: {
        ...headers,
        authorization,
        'x-ms-version': API_VERSION,
        'content-length': String(Buffer.byteLength(text)),
      },
    });
    outgoing.once('error', reject);
    outgoing.once('response', (incoming) => {
      incoming.resume();
      incoming.once('end', () => resolve(incoming.statusCode ?? 0));
    });
    outgoing.end(text);
    return promise;
  };
  const expectStatus = async (wanted: number, what: string, sent: Promise<number>): Promise<void> => {
    const status = await sent;
    if (status !== wanted) throw new Error(`Azurite answered ${status} to ${what}. Is there what the call names?`);
  };
  return {
    makeContainer: (container) =>
      expectStatus(201, 'a new container', send('PUT', `${container}?restype=container`, {})),
    put: (container, blob, text) =>
      expectStatus(201, 'a blob', send('PUT', `${container}/${blob}`, { 'x-ms-blob-type': 'BlockBlob' }, text)),
    remove: (container, blob) => expectStatus(202, 'a removal', send('DELETE', `${container}/${blob}`, {})),
  };
}
