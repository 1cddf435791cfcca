import { BROKER_API, TOKEN_EXCHANGE_AUDIENCE } from '../seed.ts';

/** An API that tokens can be asked for. */
export interface Resource {
  /** Its identifier URIs, without a trailing slash. */
  uris: readonly string[];
  appId: string;
  /** Set by the API's registration, not by the endpoint that was asked. */
  tokenVersion: '1.0' | '2.0';
}

const RESOURCES: readonly Resource[] = [
  {
    uris: ['https://management.azure.com', 'https://management.core.windows.net'],
    appId: '797f4846-ba00-4fd7-ba43-dac1f8f63013',
    tokenVersion: '1.0',
  },
  { uris: ['https://vault.azure.net'], appId: 'cfa8b339-82a2-471a-a3c9-0fc0be7a4093', tokenVersion: '1.0' },
  { uris: ['https://storage.azure.com'], appId: 'e406a681-f3d4-42a8-90b6-c2b029497af1', tokenVersion: '1.0' },
  { uris: ['https://graph.microsoft.com'], appId: '00000003-0000-0000-c000-000000000000', tokenVersion: '1.0' },
  { uris: ['https://ml.azure.com'], appId: '0736f41a-0425-4b46-bdb5-1563eff02385', tokenVersion: '1.0' },
  { uris: [TOKEN_EXCHANGE_AUDIENCE], appId: 'fb60f99c-7a34-4190-8149-302f77469936', tokenVersion: '2.0' },
  { uris: [BROKER_API.identifierUri], appId: BROKER_API.appId, tokenVersion: '2.0' },
];

/** Finds an API by one of its URIs, with or without one trailing slash, or by its application id. */
export function findResource(identifier: string): Resource | undefined {
  const uri = identifier.endsWith('/') ? identifier.slice(0, -1) : identifier;
  return RESOURCES.find((one) => one.uris.includes(uri) || one.appId === identifier);
}

/**
 * The `aud` of a token: v1 tokens repeat the identifier as it was asked, trailing slash included; v2 tokens name the API's
 * application id. The exchange audience stays as asked, because a federated credential names it so.
 */
export function audienceOf(resource: Resource, asked: string): string {
  if (resource.tokenVersion === '1.0' || asked === TOKEN_EXCHANGE_AUDIENCE) return asked;
  return resource.appId;
}
