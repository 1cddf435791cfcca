import { randomUUID } from 'node:crypto';
import * as z from 'zod';
import { REGION, RESOURCE_GROUP } from '../seed.ts';
import type { Answer } from './answer.ts';
import type { Json } from './compare.ts';
import type { NamePair } from './text-form.ts';

/** One request to the sandbox; `json` and `form` set the content type. */
interface Call {
  readonly method: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: Json;
  readonly form?: Readonly<Record<string, string>>;
}

/** The running sandbox as the handlers see it. */
export interface World {
  readonly urls: Readonly<
    Record<'entra' | 'managedIdentity' | 'keyVault' | 'arm' | 'graph' | 'scoring' | 'tables', string>
  >;
  readonly identityHeader: string;
  /** PEM texts for a server on loopback that this process trusts. */
  readonly tls: { readonly cert: string; readonly key: string };
  call(call: Call): Promise<Answer>;
  /** A token of a managed identity (null: the system-assigned one) for a resource, as the header that carries it. */
  authorize(resource: string, clientId: string | null): Promise<{ authorization: string }>;
}

export interface WorldOptions {
  readonly urls: World['urls'];
  /** The identity endpoint's whole URL, and the text that it wants in X-IDENTITY-HEADER. */
  readonly identityEndpoint: string;
  readonly identityHeader: string;
  readonly tls: World['tls'];
}

const tokenAnswer = z.object({ access_token: z.string() });

/** Makes the handlers' view of a running sandbox. */
export function createWorld({ urls, identityEndpoint, identityHeader, tls }: WorldOptions): World {
  const authorize: World['authorize'] = async (resource, clientId) => {
    const query = new URLSearchParams({ 'api-version': '2019-08-01', resource });
    if (clientId !== null) query.set('client_id', clientId);
    const headers = { 'X-IDENTITY-HEADER': identityHeader };
    const answer = await callSandbox({ method: 'GET', url: `${identityEndpoint}?${query}`, headers });
    return { authorization: `Bearer ${tokenAnswer.parse(answer.body).access_token}` };
  };
  return { urls, identityHeader, tls, call: callSandbox, authorize };
}

async function callSandbox({ method, url, headers = {}, json, form }: Call): Promise<Answer> {
  const content = json !== undefined ? JSON.stringify(json) : form && `${new URLSearchParams(form)}`;
  const type = json !== undefined ? 'application/json' : 'application/x-www-form-urlencoded;charset=utf-8';
  const response = await fetch(url, {
    method,
    redirect: 'manual',
    headers: {
      'x-ms-client-request-id': randomUUID(),
      ...(content === undefined ? {} : { 'content-type': type }),
      ...headers,
    },
    ...(content === undefined ? {} : { body: content }),
  });
  const rawBody = await response.text();
  const answer = { status: response.status, headers: Object.fromEntries(response.headers), rawBody };
  const isJson = response.headers.get('content-type')?.includes('json') === true && rawBody !== '';
  return isJson ? { ...answer, body: z.json().parse(JSON.parse(rawBody)) } : answer;
}

/** The names that all examples spell in their own way; tenants and subscriptions are GUIDs, which compare by form. */
export function commonNames(world: World): NamePair[] {
  return [
    { label: 'login', example: 'https://login.microsoftonline.com', ours: world.urls.entra },
    { label: 'arm', example: 'https://management.azure.com', ours: world.urls.arm },
    { label: 'resourceGroup', example: 'rg-test', ours: RESOURCE_GROUP },
    ...['eastus2euap', 'eastus2', 'southcentralus', 'westus'].map((example) => ({
      label: 'region',
      example,
      ours: REGION,
    })),
    { label: 'REGION', example: 'WESTUS', ours: REGION.toUpperCase() },
  ];
}
