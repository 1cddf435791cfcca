import { randomUUID } from 'node:crypto';
import { decodeJwt } from 'jose';
import type { EntraKeys } from '../entra/keys.ts';
import { readServiceToken, type ServiceCaller } from '../entra/service-token.ts';
import type { Answer, Exchange, Handler } from '../http/service.ts';
import { type AnswerContext, answerRoute } from './answer-route.ts';
import type { SecretStore } from './secret-store.ts';
import { forbiddenByRbac, vaultError, withVaultHeaders } from './vault-answers.ts';
import { dataActions, readVaultRoute, type VaultRoute } from './vault-route.ts';

export interface KeyVaultOptions {
  store: SecretStore;
  /** Verifies callers' tokens. */
  entra: EntraKeys;
  /** Named in the challenge: where and for which tenant a caller gets its token. */
  entraUrl: string;
  tenantId: string;
  /** ARM id of the vault, named in refusals. */
  resourceId: string;
  region: string;
  /** Object ids with the role Key Vault Secrets Officer; everybody else is refused. */
  secretsOfficers: readonly string[];
  clock: () => Date;
  uuid?: () => string;
}

/** Audience of the vault's tokens in the public cloud. */
const audience = 'https://vault.azure.net';
const assignmentId = '02670f37017357b69327b41b7d9daa8d';
const apiVersion = /^(\d{4}-\d{2}-\d{2}|\d\.\d)(-preview(\.\d+)?)?$/;
const secretName = /^[0-9a-zA-Z-]{1,127}$/;

/**
 * The secrets data plane of one Key Vault: a challenge for a call without token, role-based access, then secrets with
 * versions, attributes, tags and soft delete. Backup and restore are not there.
 *
 * Links in answers are built from the `Host` header, so they name the host and port by which the caller came.
 *
 * Source: https://learn.microsoft.com/rest/api/keyvault/secrets
 */
export function createKeyVault(options: KeyVaultOptions): Handler {
  const { entra, clock, uuid = randomUUID } = options;
  return async (exchange) => {
    const reading = await readServiceToken(exchange.headers.authorization, [audience], entra, clock());
    const answer = reading.ok
      ? authorized(options, exchange, reading.caller)
      : unauthorized(options, exchange, reading);
    return withVaultHeaders(answer, exchange, {
      region: options.region,
      requestId: uuid(),
      assignmentId: reading.ok ? assignmentId : undefined,
    });
  };
}

function authorized(options: KeyVaultOptions, exchange: Exchange, caller: ServiceCaller): Answer {
  const route = readVaultRoute(exchange.method, exchange.rawPath);
  if (route === undefined) {
    return vaultError(405, 'BadParameter', `Method ${exchange.method} is not allowed on this path.`);
  }
  if (!options.secretsOfficers.includes(caller.oid)) return forbidden(options, caller, route);
  const version = exchange.query.get('api-version');
  if (version === null || !apiVersion.test(version)) {
    return vaultError(400, 'BadParameter', 'The parameter api-version is missing or not a version of this service.');
  }
  if ('name' in route && !secretName.test(route.name)) {
    const message = `The request URI contains an invalid name: ${route.name}`;
    return vaultError(400, 'BadParameter', message);
  }
  return answerRoute(route, contextOf(options, exchange));
}

function contextOf({ store }: KeyVaultOptions, exchange: Exchange): AnswerContext {
  return { store, vaultUrl: `https://${exchange.headers.host}`, query: exchange.query, body: exchange.body };
}

function forbidden(options: KeyVaultOptions, caller: ServiceCaller, route: VaultRoute): Answer {
  const { resourceId, region } = options;
  return forbiddenByRbac({
    caller,
    action: dataActions[route.operation],
    resource: 'name' in route ? `${resourceId}/secrets/${route.name}` : resourceId,
    vault: resourceId.slice(resourceId.lastIndexOf('/') + 1),
    region,
  });
}

function unauthorized(
  { entraUrl, tenantId }: KeyVaultOptions,
  exchange: Exchange,
  { reason }: { reason: 'missing' | 'malformed' | 'signature' | 'audience' | 'expired' },
): Answer {
  const challenge = `Bearer authorization="${entraUrl}/${tenantId}", resource="${audience}"`;
  const answer = vaultError(401, 'Unauthorized', unauthorizedMessage(reason, exchange.headers.authorization));
  return { ...answer, headers: { 'WWW-Authenticate': challenge } };
}

function unauthorizedMessage(reason: string, authorization: string | undefined): string {
  if (reason === 'missing') return 'AKV10000: Request is missing a Bearer, PoP, or MTLS_POP token.';
  if (reason !== 'audience') return `AKV10000: The bearer token is not accepted: ${reason}.`;
  const found = decodeJwt(authorization?.replace(/^Bearer /i, '') ?? '').aud;
  return `AKV10022: Invalid audience. Expected ${audience}, found: ${found}.`;
}
