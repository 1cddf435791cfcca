import { Agent, request as httpsRequest } from 'node:https';
import * as z from 'zod';
import { IDENTITY_HEADER, TENANT_ID, TRAINER } from '../seed.ts';
import { expectStatus, parseJson, request } from './request.ts';

/** The secret as one read found it. Its text is for signing in, never for printing. */
export interface StoredSecret {
  text: string;
  version: string;
  /** The password that it says it holds. */
  keyId: string | undefined;
  createdOn: Date;
}

/** A program of somebody else that uses the rotated secret as it should: it asks Key Vault for it, and Entra for a token. */
export interface Consumer {
  /** Reads the secret without naming a version. */
  readSecret(): Promise<StoredSecret>;
  /** Signs in as `trainer` on a connection of its own, which may lead to any of Entra's replicas: undefined, or the refusal's `AADSTS…`. */
  signIn(secretText: string): Promise<string | undefined>;
}

const API_VERSION = '2025-07-01';
const SCOPE = 'https://management.azure.com/.default';
const REQUEST_MS = 10_000;

const secretSchema = z.object({
  id: z.url(),
  value: z.string().min(1),
  attributes: z.object({ created: z.number() }),
  tags: z.object({ keyId: z.string() }).partial().default({}),
});
const identityTokenSchema = z.object({ access_token: z.string().min(1) });
const refusalSchema = z.object({ error_description: z.string() });

/** A consumer that signs in at Key Vault with the managed identity that may read its secrets. */
export function createConsumer(urls: { managedIdentity: string; keyVault: string; entra: string }): Consumer {
  let vaultToken: Promise<string> | undefined;
  const askVaultToken = async (): Promise<string> => {
    const query = 'api-version=2019-08-01&resource=https%3A%2F%2Fvault.azure.net';
    const headers = { 'x-identity-header': IDENTITY_HEADER };
    const reply = await request('GET', `${urls.managedIdentity}/msi/token?${query}`, { headers });
    return identityTokenSchema.parse(expectStatus(200, reply)).access_token;
  };
  return {
    async readSecret() {
      vaultToken ??= askVaultToken();
      const url = `${urls.keyVault}/secrets/${TRAINER.secretName}?api-version=${API_VERSION}`;
      const reply = await request('GET', url, { token: await vaultToken });
      const { id, value, attributes, tags } = secretSchema.parse(expectStatus(200, reply));
      return {
        text: value,
        version: id.split('/').at(-1) ?? '',
        keyId: tags.keyId,
        createdOn: new Date(attributes.created * 1000),
      };
    },
    async signIn(secretText) {
      const form = new URLSearchParams({
        client_id: TRAINER.appId,
        client_secret: secretText,
        grant_type: 'client_credentials',
        scope: SCOPE,
      });
      const { status, text } = await postOnce(`${urls.entra}/${TENANT_ID}/oauth2/v2.0/token`, form.toString());
      if (status === 200) return undefined;
      const refusal = refusalSchema.safeParse(parseJson(text));
      return /^AADSTS\d+/.exec(refusal.data?.error_description ?? '')?.[0] ?? `status ${status}`;
    },
  };
}

/** Posts a form on a new connection, which is closed after the answer. */
function postOnce(url: string, form: string): Promise<{ status: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(form) };
  const agent = new Agent({ keepAlive: false });
  const sent = httpsRequest(
    url,
    { method: 'POST', agent, headers, signal: AbortSignal.timeout(REQUEST_MS) },
    (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }));
      answer.on('error', reject);
    },
  );
  sent.on('error', (error) => reject(new Error(`Entra cannot be reached (${error.message}). Is npm start running?`)));
  sent.end(form);
  return promise;
}
