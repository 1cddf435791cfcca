import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../src/errors.ts';
import { authorizationServer } from '../../src/functions/authorization-server.ts';
import { tenantId } from '../support/builders.ts';
import { invocationId, invoke } from './invoke.ts';
import { setUp } from './oauth-in-memory.ts';

const get = (params: Record<string, string> = {}) => ({
  method: 'GET',
  // The broker's own address never comes from the request.
  url: 'https://attacker.example/?x=1',
  headers: { host: 'attacker.example' },
  params,
});

describe('GET /.well-known/oauth-authorization-server', () => {
  it('names the token endpoint and what it takes (RFC 8414), on the public URL', async () => {
    const answer = await invoke(setUp().authorizationServer, get());
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(answer.body).toEqual({
      issuer: 'https://broker.example',
      token_endpoint: 'https://broker.example/oauth2/token',
      grant_types_supported: ['client_credentials', 'urn:ietf:params:oauth:grant-type:token-exchange'],
      response_types_supported: ['none'],
      scopes_supported: ['https://ml.azure.com/.default', 'https://management.azure.com/.default'],
      token_endpoint_auth_methods_supported: ['private_key_jwt', 'none'],
      token_endpoint_auth_signing_alg_values_supported: expect.arrayContaining(['RS256', 'ES256']),
    });
  });

  it('P7: is a 503 problem with a broken configuration', async () => {
    const handler = authorizationServer(() => Promise.reject(new BrokerError('config_invalid')));
    expect(await invoke(handler, get())).toMatchObject({ status: 503, body: { code: 'config_invalid' } });
  });
});

describe('GET /{tenant}/v2.0/.well-known/openid-configuration', () => {
  it('has what MSAL demands, all on the public URL', async () => {
    const answer = await invoke(setUp().openIdConfiguration, get({ tenant: tenantId.toUpperCase() }));
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      issuer: `https://broker.example/${tenantId}/v2.0`,
      authorization_endpoint: `https://broker.example/${tenantId}/oauth2/v2.0/authorize`,
      token_endpoint: `https://broker.example/${tenantId}/oauth2/v2.0/token`,
      jwks_uri: `https://broker.example/${tenantId}/discovery/v2.0/keys`,
      response_types_supported: ['none'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
    });
    expect(answer.text).not.toContain('attacker');
  });

  it('tells nobody which tenants the policy knows', async () => {
    const other = '99999999-0000-4000-8000-000000000000';
    const known = await invoke(setUp().openIdConfiguration, get({ tenant: tenantId }));
    const unknown = await invoke(setUp().openIdConfiguration, get({ tenant: other }));
    expect(unknown.text).toBe(known.text.replaceAll(tenantId, other));
  });

  it.each(['', 'common', 'contoso.example', '..', `${tenantId}/x`])('400 invalid_tenant for %j', async (tenant) => {
    const answer = await invoke(setUp().openIdConfiguration, get({ tenant }));
    expect(answer.status).toBe(400);
    expect(answer.body).toEqual({
      error: 'invalid_tenant',
      error_description: expect.stringMatching(/tenant id/),
      correlation_id: invocationId,
    });
  });
});
