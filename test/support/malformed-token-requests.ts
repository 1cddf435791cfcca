/**
 * Requests that the token endpoint refuses, each with its exact error: the same table is sent to the functions in memory
 * and, over HTTP, to the bundle in the development host.
 */

/** A broker and a caller whom it would serve. */
export interface TokenWorld {
  publicUrl: string;
  amlScope: string;
  armScope: string;
  /** A caller's token that the broker accepts. */
  token: string;
  /** The identity that a grant lets the caller use for `amlScope`, of the workspace prod. */
  clientId: string;
  tenantId: string;
}

export interface MalformedRequest {
  name: string;
  /** The tenant in the path; undefined is `/oauth2/token`. */
  tenant: string | undefined;
  /** With its question mark. */
  query: string;
  headers: Record<string, string>;
  body: string | Uint8Array<ArrayBuffer>;
  status: number;
  error: string;
  /** Why, as the log says it: shows that nothing else refused the request first. */
  reason: string;
}

type Fields = Readonly<Record<string, string | string[] | undefined>>;

const GRANT = 'urn:ietf:params:oauth:grant-type:';
const TYPE = 'urn:ietf:params:oauth:token-type:';
const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const SECRET = 'a-secret-that-must-not-be-shown';
const FORM = 'application/x-www-form-urlencoded';

export function encodeForm(fields: Fields): string {
  const pairs = Object.entries(fields).flatMap(([name, value]) =>
    (value === undefined ? [] : [value].flat()).map((one): [string, string] => [name, one]),
  );
  return new URLSearchParams(pairs).toString();
}

/** A token exchange that the broker grants. */
export const goodExchange = ({ publicUrl, amlScope, token }: TokenWorld) =>
  ({
    grant_type: `${GRANT}token-exchange`,
    subject_token: token,
    subject_token_type: `${TYPE}access_token`,
    resource: `${publicUrl}/workspaces/prod`,
    scope: amlScope,
  }) satisfies Fields;

/** Client credentials, as stock Azure clients send them, that the broker grants. */
export const goodClientCredentials = ({ amlScope, token, clientId }: TokenWorld) =>
  ({
    grant_type: 'client_credentials',
    client_id: clientId,
    client_assertion: token,
    client_assertion_type: JWT_BEARER,
    scope: amlScope,
  }) satisfies Fields;

export function malformedTokenRequests(world: TokenWorld): MalformedRequest[] {
  const { publicUrl, amlScope, armScope, token, clientId, tenantId } = world;
  const requests: MalformedRequest[] = [];
  type Expected = readonly [status: number, error: string, reason: string];
  const add = (name: string, [status, error, reason]: Expected, sent: Partial<MalformedRequest>) =>
    requests.push({
      ...{ name, status, error, reason, tenant: undefined, query: '', body: encodeForm(goodExchange(world)) },
      ...sent,
      headers: { 'content-type': FORM, ...sent.headers },
    });
  const exchange = (name: string, expected: Expected, changes: Fields, sent: Partial<MalformedRequest> = {}) =>
    add(`exchange: ${name}`, expected, { body: encodeForm({ ...goodExchange(world), ...changes }), ...sent });
  const credentials = (name: string, expected: Expected, changes: Fields, sent: Partial<MalformedRequest> = {}) =>
    add(`client credentials: ${name}`, expected, {
      body: encodeForm({ ...goodClientCredentials(world), ...changes }),
      ...sent,
    });
  const raw = (name: string, expected: Expected, body: string | Uint8Array<ArrayBuffer>) =>
    add(`form: ${name}`, expected, { body });
  const good = encodeForm(goodExchange(world));
  const [header = '', payload = '', signature = ''] = token.split('.');

  // The request as HTTP.
  const basic = `Basic ${Buffer.from(`${clientId}:${SECRET}`).toString('base64')}`;
  add('http: Basic authentication', [401, 'invalid_client', 'authorization_header'], {
    headers: { authorization: basic },
  });
  add('http: a Bearer token in the header', [401, 'invalid_client', 'authorization_header'], {
    headers: { authorization: `Bearer ${token}` },
  });
  add('http: an unknown scheme', [401, 'invalid_client', 'authorization_header'], {
    headers: { authorization: `Secret ${SECRET}` },
  });
  add('http: JSON', [400, 'invalid_request', 'content_type'], {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(goodExchange(world)),
  });
  add('http: multipart', [400, 'invalid_request', 'content_type'], {
    headers: { 'content-type': 'multipart/form-data; boundary=x' },
  });
  add('http: text', [400, 'invalid_request', 'content_type'], { headers: { 'content-type': 'text/plain' } });
  add('http: no content type', [400, 'invalid_request', 'content_type'], { headers: { 'content-type': '' } });
  add('http: another charset', [400, 'invalid_request', 'content_type'], {
    headers: { 'content-type': `${FORM}; charset=iso-8859-1` },
  });
  add('http: two content types', [400, 'invalid_request', 'content_type'], {
    headers: { 'content-type': `${FORM}, ${FORM}` },
  });
  add('http: a compressed form', [400, 'invalid_request', 'content_encoding'], {
    headers: { 'content-encoding': 'gzip' },
  });
  for (const name of ['grant_type', 'client_secret', 'subject_token', 'client_assertion', 'access_token', 'scope']) {
    add(`http: ${name} in the URL`, [400, 'invalid_request', 'parameters_in_url'], { query: `?${name}=${SECRET}` });
  }

  // The form.
  raw('empty', [400, 'invalid_request', 'empty_body'], '');
  raw('over 64 KiB', [413, 'invalid_request', 'declared_length'], `${good}&filler=${'x'.repeat(64 * 1024)}`);
  raw('nothing but separators', [400, 'invalid_request', 'no_grant_type'], '&&&');
  raw('bytes that are not ASCII', [400, 'invalid_request', 'form_characters'], new TextEncoder().encode(`${good}&a=ü`));
  raw('a blank in it', [400, 'invalid_request', 'form_characters'], `${good}&a=b c`);
  raw('a line break at its end', [400, 'invalid_request', 'form_characters'], `${good}\r\n`);
  raw('a percent sign alone', [400, 'invalid_request', 'form_encoding'], `${good}&a=100%`);
  raw('a percent-encoding that is not hexadecimal', [400, 'invalid_request', 'form_encoding'], `${good}&a=%zz`);
  raw('a percent-encoding that is not UTF-8', [400, 'invalid_request', 'form_encoding'], `${good}&a=%ff`);
  raw('a name that is not UTF-8', [400, 'invalid_request', 'form_encoding'], `${good}&%c0%af=1`);
  raw('JSON', [400, 'invalid_request', 'no_grant_type'], JSON.stringify({ grant_type: 'client_credentials' }));
  for (const name of ['grant_type', 'subject_token', 'scope', 'client_id', 'unknown'] as const) {
    exchange(`${name} twice`, [400, 'invalid_request', 'repeated_parameter'], { [name]: ['one', 'one'] });
  }
  raw('a parameter twice, once encoded', [400, 'invalid_request', 'repeated_parameter'], `${good}&sc%6Fpe=x`);
  raw('a parameter twice, once without a value', [400, 'invalid_request', 'repeated_parameter'], `${good}&scope`);

  // The grant type.
  exchange('no grant_type', [400, 'invalid_request', 'no_grant_type'], { grant_type: undefined });
  exchange('a grant_type without a value', [400, 'invalid_request', 'no_grant_type'], { grant_type: '' });
  for (const grantType of [
    'authorization_code',
    'refresh_token',
    'password',
    `${GRANT}jwt-bearer`,
    `${GRANT}saml2-bearer`,
    `${GRANT}device_code`,
    'Client_Credentials',
    'client_credentials ',
    'client_credentials\0',
    `${GRANT}token-exchange/`,
  ]) {
    exchange(`the grant_type ${JSON.stringify(grantType)}`, [400, 'unsupported_grant_type', 'grant_type'], {
      grant_type: grantType,
    });
  }

  // Credentials that nobody may send.
  exchange('a client_secret', [400, 'invalid_request', 'several_credentials'], { client_secret: SECRET });
  credentials('a client_secret beside the assertion', [400, 'invalid_request', 'several_credentials'], {
    client_secret: SECRET,
  });
  credentials('a client_secret in place of the assertion', [401, 'invalid_client', 'client_secret'], {
    ...{ client_assertion: undefined, client_assertion_type: undefined, client_secret: SECRET },
  });
  exchange('an actor_token', [400, 'invalid_request', 'actor_token'], {
    ...{ actor_token: SECRET, actor_token_type: `${TYPE}access_token` },
  });
  exchange('an actor_token_type alone', [400, 'invalid_request', 'actor_token'], {
    actor_token_type: `${TYPE}access_token`,
  });
  credentials('an actor_token', [400, 'invalid_request', 'actor_token'], { actor_token: SECRET });
  exchange('an assertion beside the subject_token', [400, 'invalid_request', 'several_credentials'], {
    ...{ client_assertion: token, client_assertion_type: JWT_BEARER },
  });
  exchange('an assertion in place of the subject_token', [400, 'invalid_request', 'client_assertion'], {
    ...{ subject_token: undefined, client_assertion: token, client_assertion_type: JWT_BEARER },
  });
  credentials('a subject_token beside the assertion', [400, 'invalid_request', 'several_credentials'], {
    subject_token: token,
  });
  credentials('a subject_token in place of the assertion', [400, 'invalid_request', 'subject_token'], {
    ...{ client_assertion: undefined, subject_token: token },
  });

  // Token exchange (RFC 8693).
  exchange('no subject_token', [400, 'invalid_request', 'no_subject_token'], { subject_token: undefined });
  exchange('a subject_token without a value', [400, 'invalid_request', 'no_subject_token'], { subject_token: '' });
  exchange('no subject_token_type', [400, 'invalid_request', 'no_subject_token_type'], {
    subject_token_type: undefined,
  });
  for (const type of ['id_token', 'refresh_token', 'saml2', 'ACCESS_TOKEN']) {
    exchange(`the subject_token_type ${type}`, [400, 'invalid_request', 'subject_token_type'], {
      subject_token_type: `${TYPE}${type}`,
    });
  }
  exchange('a requested_token_type for refreshing', [400, 'invalid_request', 'requested_token_type'], {
    requested_token_type: `${TYPE}refresh_token`,
  });
  exchange('a requested_token_type that is unknown', [400, 'invalid_request', 'requested_token_type'], {
    requested_token_type: 'access_token',
  });

  // Targets (RFC 8707).
  exchange('no resource', [400, 'invalid_target', 'no_resource'], { resource: undefined });
  exchange('two resources', [400, 'invalid_target', 'several_resources'], {
    resource: [`${publicUrl}/workspaces/prod`, `${publicUrl}/workspaces/dev`],
  });
  exchange('the same resource twice', [400, 'invalid_target', 'several_resources'], {
    resource: [`${publicUrl}/workspaces/prod`, `${publicUrl}/workspaces/prod`],
  });
  exchange('an audience', [400, 'invalid_target', 'audience'], { audience: 'prod' });
  for (const [name, resource] of [
    ['a resource elsewhere', 'https://attacker.example/workspaces/prod'],
    ['a resource on a host of the same length', `${publicUrl.slice(0, -1)}x/workspaces/prod`],
    ['a resource on a host that only begins alike', `${publicUrl}.attacker.example/workspaces/prod`],
    ['a resource that names a user', publicUrl.replace('https://', 'https://prod@')],
    ['a resource without a scheme', '/workspaces/prod'],
    ['a resource that is no URI', 'prod'],
    ['a resource that is the broker itself', publicUrl],
    ['a resource that is no workspace', `${publicUrl}/rotations/trainer-password`],
    ['a resource with a slash at its end', `${publicUrl}/workspaces/prod/`],
    ['a resource with a fragment', `${publicUrl}/workspaces/prod#x`],
    ['a resource with a query', `${publicUrl}/workspaces/prod?x=1`],
    ['a resource with dots in its path', `${publicUrl}/workspaces/dev/../prod`],
    ['a resource with an encoded name', `${publicUrl}/workspaces/%70rod`],
    ['a resource with a line break', `${publicUrl}/workspaces/prod\n`],
    ['a resource with a pattern', `${publicUrl}/workspaces/prod/endpoints/*`],
    ['a resource below an endpoint', `${publicUrl}/workspaces/prod/endpoints/fraud-aml/token`],
    ['a resource without an endpoint', `${publicUrl}/workspaces/prod/endpoints/`],
    ['a workspace of 64 letters', `${publicUrl}/workspaces/${'a'.repeat(64)}`],
  ] as const) {
    exchange(name, [400, 'invalid_target', 'unknown_resource'], { resource });
  }
  exchange('a workspace that does not exist', [400, 'invalid_target', 'no_grant_for_target'], {
    resource: `${publicUrl}/workspaces/nowhere`,
  });
  exchange('a workspace in another case', [400, 'invalid_target', 'no_grant_for_target'], {
    resource: `${publicUrl}/workspaces/PROD`,
  });
  exchange('an endpoint that is not granted', [400, 'invalid_target', 'no_grant_for_target'], {
    ...{ resource: `${publicUrl}/workspaces/prod/endpoints/churn-aml`, scope: undefined },
  });
  exchange('an endpoint that does not exist', [400, 'invalid_target', 'no_such_endpoint'], {
    ...{ resource: `${publicUrl}/workspaces/prod/endpoints/fraud-nowhere`, scope: undefined },
  });

  // Scopes.
  exchange('no scope for a workspace', [400, 'invalid_scope', 'no_scope'], { scope: undefined });
  exchange('a scope for an endpoint', [400, 'invalid_scope', 'scope_for_endpoint'], {
    resource: `${publicUrl}/workspaces/prod/endpoints/fraud-aml`,
  });
  for (const [name, scope] of [
    ['two scopes', `${amlScope} ${armScope}`],
    ['the same scope twice', `${amlScope} ${amlScope}`],
    ['a scope with OpenID’s', `openid ${amlScope}`],
    ['a scope of another resource', 'https://graph.microsoft.com/.default'],
    ['a resource without /.default', amlScope.replace('/.default', '')],
    ['a scope in another case', amlScope.toUpperCase()],
    ['a blank at the end of the scope', `${amlScope} `],
    ['a named permission', amlScope.replace('.default', 'user_impersonation')],
  ] as const) {
    exchange(name, [400, 'invalid_scope', 'unknown_scope'], { scope });
    credentials(name, [400, 'invalid_scope', 'unknown_scope'], { scope });
  }
  credentials('no scope', [400, 'invalid_scope', 'no_scope'], { scope: undefined });

  // Client credentials with an assertion (RFC 7521, 7523).
  credentials('no assertion', [401, 'invalid_client', 'no_client_assertion'], { client_assertion: undefined });
  credentials('no client_assertion_type', [400, 'invalid_request', 'no_client_assertion_type'], {
    client_assertion_type: undefined,
  });
  credentials('a SAML assertion', [401, 'invalid_client', 'client_assertion_type'], {
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer',
  });
  credentials('no client_id', [400, 'invalid_request', 'no_client_id'], { client_id: undefined });
  credentials('a client_id that is no GUID', [400, 'invalid_target', 'client_id'], { client_id: 'trainer' });
  credentials('a client_id that no grant names', [400, 'invalid_target', 'no_grant_for_identity'], {
    client_id: '00000000-0000-4000-8000-00000000dead',
  });
  credentials('an audience', [400, 'invalid_target', 'audience'], { audience: clientId });
  credentials('a resource that the identity does not serve', [400, 'invalid_target', 'no_grant_for_identity'], {
    resource: `${publicUrl}/workspaces/dev`,
  });
  credentials('an endpoint', [400, 'invalid_target', 'endpoint_by_client_credentials'], {
    resource: `${publicUrl}/workspaces/prod/endpoints/fraud-aml`,
  });
  for (const tenant of ['common', 'organizations', 'contoso.example', `${tenantId}x`]) {
    credentials(`the tenant ${tenant}`, [400, 'invalid_target', 'tenant'], {}, { tenant });
  }

  // The caller's token: one error for all that is wrong with it, by where it stands.
  for (const [name, hostile, reason] of [
    ['no JWT', 'opaque', 'not_one_bearer_token'],
    ['two tokens', `${token} ${token}`, 'not_one_bearer_token'],
    ['padding', `${token}=`, 'not_one_bearer_token'],
    ['no signature', `${header}.${payload}.`, 'not_one_bearer_token'],
    ['a fourth part', `${token}.${signature}`, 'not_one_bearer_token'],
    ['over 16 KiB', `${header}.${payload}.${'A'.repeat(17 * 1024)}`, 'token_too_long'],
  ] as const) {
    exchange(`the token: ${name}`, [400, 'invalid_request', reason], { subject_token: hostile });
    credentials(`the token: ${name}`, [401, 'invalid_client', reason], { client_assertion: hostile });
  }
  return requests;
}
