import type { FetchKeys } from '../callers/published-keys.ts';
import { isInternalHost, isLocalAddress } from '../config/internal-address.ts';
import { createGetJson } from '../oidc/get-json.ts';
import { createFetchOidcKeys, createLocate } from '../oidc/oidc-keys.ts';
import type { Context } from './context.ts';

/** Where the keys of callers' issuers come from: Entra for tenants, the issuers themselves for all others. */
export function buildFetchKeys({ azure, settings: { cloud, internalIssuers, oidcUrl } }: Context): FetchKeys {
  const fetchTenantKeys = azure.createFetchEntraKeys(cloud.authorityHost);
  const getJson = createGetJson({ refusesAddress: internalIssuers ? () => false : isLocalAddress });
  // An issuer on this machine needs no stand-in.
  const fetchOidcKeys = createFetchOidcKeys(getJson, createLocate(oidcUrl, isInternalHost));
  return (source) => ('entraTenant' in source ? fetchTenantKeys(source.entraTenant) : fetchOidcKeys(source));
}
