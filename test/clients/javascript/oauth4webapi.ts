import * as oauth from 'oauth4webapi';
import { AML, callerToken, expectEqual, expectToken, rejectionOf, run, setting, strangerToken } from './checks.ts';

/** `oauth4webapi`, a strict client of the OAuth standards: metadata, token exchange, client credentials with an assertion. */

const issuer = new URL(setting('BROKER_URL'));
const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
const fraud = `${issuer.origin}/workspaces/prod/endpoints/fraud-aml`;

async function discover(): Promise<oauth.AuthorizationServer> {
  return oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2' }));
}

async function exchangeToken(parameters: Record<string, string>, token = callerToken()) {
  const [server, client] = [await discover(), { client_id: 'a-program' }];
  const form = {
    subject_token: token,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    ...parameters,
  };
  const response = await oauth.genericTokenEndpointRequest(server, client, oauth.None(), exchange, form);
  return oauth.processGenericTokenEndpointResponse(server, client, response);
}

/** RFC 7523, section 2.2, with a token that somebody else signed: the package takes any function as authentication. */
const assertion =
  (token: string): oauth.ClientAuth =>
  (_server, { client_id }, body) => {
    body.set('client_id', client_id);
    body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
    body.set('client_assertion', token);
  };

async function signIn(clientId: string, token = callerToken()) {
  const [server, client] = [await discover(), { client_id: clientId }];
  const response = await oauth.clientCredentialsGrantRequest(server, client, assertion(token), { scope: AML });
  return oauth.processClientCredentialsResponse(server, client, response);
}

async function refusalOf(asked: Promise<unknown>): Promise<[number, string]> {
  const error = await rejectionOf(asked);
  if (error instanceof oauth.ResponseBodyError) return [error.status, error.error];
  throw error;
}

await run('oauth4webapi', {
  'finds the token endpoint by RFC 8414 metadata': async () => {
    expectEqual((await discover()).token_endpoint, `${issuer.origin}/oauth2/token`);
  },
  'exchanges a token for a workspace’s and for an endpoint’s (RFC 8693)': async () => {
    const workspace = await exchangeToken({ resource: `${issuer.origin}/workspaces/prod`, scope: AML });
    expectToken(workspace.access_token, 'https://ml.azure.com');
    const endpoint = await exchangeToken({ resource: fraud });
    expectEqual([endpoint.token_type, (endpoint.expires_in ?? 0) > 0], ['bearer', true]);
  },
  'shows invalid_target and invalid_request of a token exchange': async () => {
    const unknown = `${issuer.origin}/workspaces/prod/endpoints/churn-aml`;
    expectEqual(await refusalOf(exchangeToken({ resource: unknown })), [400, 'invalid_target']);
    expectEqual(await refusalOf(exchangeToken({ resource: fraud }, strangerToken())), [400, 'invalid_target']);
    expectEqual(await refusalOf(exchangeToken({ resource: fraud }, 'no-token')), [400, 'invalid_request']);
  },
  'gets a token by client credentials with an assertion (RFC 7523)': async () => {
    expectToken((await signIn(setting('CLIENT_ID'))).access_token, 'https://ml.azure.com');
  },
  'shows invalid_target and invalid_client of client credentials': async () => {
    expectEqual(await refusalOf(signIn(setting('UNKNOWN_CLIENT_ID'))), [400, 'invalid_target']);
    expectEqual(await refusalOf(signIn(setting('CLIENT_ID'), 'no-token')), [401, 'invalid_client']);
  },
});
