import type { HttpRequestInit } from '@azure/functions';
import { authorizationServer } from '../../src/functions/authorization-server.ts';
import { oauthToken } from '../../src/functions/oauth-token.ts';
import { openIdConfigurationOf } from '../../src/functions/openid-configuration.ts';
import { aPolicy, tenantId } from '../support/builders.ts';
import { encodeForm, type TokenWorld } from '../support/malformed-token-requests.ts';
import { createMemoryBroker, scopes } from '../support/memory-broker.ts';
import { callerToken, verifyCaller } from './invoke.ts';

/** The broker in memory, and a caller whom its policy grants things, as the token endpoint sees them. */
export const tokenWorld: TokenWorld = {
  publicUrl: 'https://broker.example',
  amlScope: scopes.aml,
  armScope: scopes.arm,
  token: callerToken,
  clientId: 'c0000000-0000-4000-8000-000000000009',
  tenantId,
};

/** The functions of the OAuth endpoints on one broker in memory. */
export function setUp(policy = aPolicy()) {
  const operations = createMemoryBroker(policy);
  const broker = async () => ({ ...operations, verifyCaller });
  return {
    ...operations,
    token: oauthToken(broker),
    authorizationServer: authorizationServer(broker),
    openIdConfiguration: openIdConfigurationOf(broker),
  };
}

/** A token request with this form. */
export function aForm(fields: Parameters<typeof encodeForm>[0], tenant?: string): HttpRequestInit {
  return {
    url: 'https://broker.example/oauth2/token',
    params: tenant === undefined ? {} : { tenant },
    headers: { 'content-type': 'application/x-www-form-urlencoded;charset=utf-8' },
    body: { string: encodeForm(fields) },
  };
}
