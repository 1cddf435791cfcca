import { type Credential, OAuthError } from './oauth-error.ts';
import type { Form } from './oauth-form.ts';

/** What the token endpoint is called and which scopes it knows; from the settings. */
export interface OAuthNames {
  /** Where callers reach the broker, without a trailing slash. */
  publicUrl: string;
  /** The exact scope of each audience in this cloud. */
  scopes: Readonly<Record<Audience, string>>;
  /**
   * Where Resource Manager is, without a trailing slash: tools that learn a cloud from its metadata make the scope of its
   * address. In Azure's own clouds that is the scope above.
   */
  armEndpoint: string;
}

type Audience = 'aml' | 'arm';

/** What a token request names. */
export type RequestedTarget =
  | { kind: 'workspace'; workspace: string; audience: Audience }
  | { kind: 'endpoint'; workspace: string; endpoint: string }
  | {
      kind: 'identity';
      /** The tenant in the path; undefined at the endpoint that names none. */
      tenantId: string | undefined;
      clientId: string;
      audience: Audience;
      /** Where a resource narrows the choice. */
      workspace: string | undefined;
    };

export interface TokenRequest {
  credential: Credential;
  /** The caller’s token, not yet looked at. */
  token: string;
  target: RequestedTarget;
}

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const ACCESS_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token';
const JWT_TYPE = 'urn:ietf:params:oauth:token-type:jwt';
const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const resourcePath =
  /^\/workspaces\/([a-zA-Z0-9][a-zA-Z0-9-]{0,62})(?:\/endpoints\/([a-zA-Z0-9][a-zA-Z0-9_-]{0,254}))?$/;

/** Parameters of OAuth that must not stand in a URL, because URLs end in access logs. */
const bodyOnly = [
  'grant_type',
  'client_id',
  'client_secret',
  'client_assertion',
  'client_assertion_type',
  'subject_token',
  'subject_token_type',
  'actor_token',
  'actor_token_type',
  'requested_token_type',
  'assertion',
  'access_token',
  'refresh_token',
  'code',
  'username',
  'password',
  'scope',
  'resource',
  'audience',
] as const;

const invalid = (description: string, reason: string) => new OAuthError('invalid_request', { description, reason });
const badTarget = (description: string, reason: string) => new OAuthError('invalid_target', { description, reason });

/** True for a GUID in its usual spelling. */
export const isGuid = (text: string): boolean => guid.test(text);

/**
 * Refuses OAuth parameters in the URL. Others pass: MSAL adds a `client-request-id`.
 */
export function refuseParametersInUrl(query: { has(name: string): boolean }): void {
  if (bodyOnly.some((name) => query.has(name))) {
    throw invalid('Send the parameters in the form, never in the URL.', 'parameters_in_url');
  }
}

/**
 * Refuses HTTP authentication (RFC 6749, section 2.3): callers show a token in the form. The one error for which a
 * challenge is due.
 */
export function refuseAuthorization(authorization: string | null): void {
  if (authorization === null) return;
  throw new OAuthError('invalid_client', {
    description:
      'This endpoint takes no Authorization header. Send your token as subject_token or client_assertion in the form.',
    reason: 'authorization_header',
    challenge: /^basic\b/i.test(authorization) ? 'Basic' : 'Bearer',
  });
}

const one = (form: Form, name: string): string | undefined => form.get(name)?.[0];

function need(form: Form, name: string): string {
  const value = one(form, name);
  if (value === undefined) throw invalid(`The parameter ${name} is missing.`, `no_${name}`);
  return value;
}

/** What the broker takes from nobody: secrets (there are none), and tokens of a second party. */
function refuseCredentials(form: Form): void {
  if (form.has('actor_token') || form.has('actor_token_type')) {
    throw invalid('The broker takes no actor_token. Send the caller’s own token alone.', 'actor_token');
  }
  const both = form.has('client_assertion') && (form.has('client_secret') || form.has('subject_token'));
  if (both || (form.has('client_secret') && form.has('subject_token'))) {
    throw invalid('The form has more than one credential. Send the caller’s token alone.', 'several_credentials');
  }
  if (form.has('client_secret')) {
    throw new OAuthError('invalid_client', {
      description:
        'The broker takes no client_secret: callers hold none. Send client_assertion, a token for this broker.',
      reason: 'client_secret',
    });
  }
}

function readScope(form: Form, { scopes, armEndpoint }: OAuthNames): Audience {
  const scope = one(form, 'scope');
  if (scope === scopes.aml) return 'aml';
  if (scope === scopes.arm || scope === `${armEndpoint}/.default`) return 'arm';
  throw new OAuthError('invalid_scope', {
    description: `Send exactly one scope: ${scopes.aml} or ${scopes.arm}.`,
    reason: scope === undefined ? 'no_scope' : 'unknown_scope',
  });
}

/** RFC 8707. One resource, written exactly as this broker publishes it. */
function readResource(
  form: Form,
  { publicUrl }: OAuthNames,
): { workspace: string; endpoint: string | undefined } | undefined {
  if (form.has('audience')) {
    throw badTarget('The broker knows targets by resource, not by audience. Send resource.', 'audience');
  }
  const [resource, ...more] = form.get('resource') ?? [];
  if (resource === undefined) return undefined;
  if (more.length > 0) throw badTarget('A token is for one target. Send one resource.', 'several_resources');
  const [, workspace, endpoint] = resource.startsWith(publicUrl)
    ? (resourcePath.exec(resource.slice(publicUrl.length)) ?? [])
    : [];
  if (workspace !== undefined) return { workspace, endpoint: endpoint?.toLowerCase() };
  throw badTarget(
    `The resource is none of this broker. Send ${publicUrl}/workspaces/{name} or ${publicUrl}/workspaces/{name}/endpoints/{endpoint}.`,
    'unknown_resource',
  );
}

/** RFC 8693: the caller’s token in, a token for the resource out. */
function readExchange(form: Form, names: OAuthNames): TokenRequest {
  if (form.has('client_assertion') || form.has('client_assertion_type')) {
    throw invalid(
      'A token exchange takes the caller’s token as subject_token, not as client_assertion.',
      'client_assertion',
    );
  }
  const token = need(form, 'subject_token');
  if (![ACCESS_TOKEN_TYPE, JWT_TYPE].includes(need(form, 'subject_token_type'))) {
    throw invalid(`The subject_token_type must be ${ACCESS_TOKEN_TYPE} or ${JWT_TYPE}.`, 'subject_token_type');
  }
  if ((one(form, 'requested_token_type') ?? ACCESS_TOKEN_TYPE) !== ACCESS_TOKEN_TYPE) {
    throw invalid(`The requested_token_type must be ${ACCESS_TOKEN_TYPE}, or left out.`, 'requested_token_type');
  }
  const named = readResource(form, names);
  if (named === undefined) {
    throw badTarget(`The resource is missing. Send ${names.publicUrl}/workspaces/{name}.`, 'no_resource');
  }
  const { workspace, endpoint } = named;
  if (endpoint === undefined) {
    return {
      credential: 'subject_token',
      token,
      target: { kind: 'workspace', workspace, audience: readScope(form, names) },
    };
  }
  if (form.has('scope')) {
    throw new OAuthError('invalid_scope', {
      description: 'The token of an endpoint takes no scope. Leave it out.',
      reason: 'scope_for_endpoint',
    });
  }
  return { credential: 'subject_token', token, target: { kind: 'endpoint', workspace, endpoint } };
}

/** RFC 7523, section 2.2, in Entra’s shape: the caller’s token as assertion, the identity by its client id. */
function readClientCredentials(form: Form, names: OAuthNames, tenantId: string | undefined): TokenRequest {
  if (form.has('subject_token') || form.has('subject_token_type')) {
    throw invalid(
      'With client_credentials the caller’s token is the client_assertion, not a subject_token.',
      'subject_token',
    );
  }
  const token = one(form, 'client_assertion');
  if (token === undefined) {
    throw new OAuthError('invalid_client', {
      description: 'The client_assertion is missing. Send a token for this broker.',
      reason: 'no_client_assertion',
    });
  }
  if (need(form, 'client_assertion_type') !== JWT_BEARER) {
    throw new OAuthError('invalid_client', {
      description: `The client_assertion_type must be ${JWT_BEARER}.`,
      reason: 'client_assertion_type',
    });
  }
  const clientId = need(form, 'client_id');
  if (!isGuid(clientId)) throw badTarget('The client_id must be the client id of an identity, a GUID.', 'client_id');
  const audience = readScope(form, names);
  const named = readResource(form, names);
  if (named?.endpoint !== undefined) {
    throw badTarget('The token of an endpoint is issued by token exchange.', 'endpoint_by_client_credentials');
  }
  const target = {
    kind: 'identity',
    tenantId,
    clientId: clientId.toLowerCase(),
    audience,
    workspace: named?.workspace,
  } as const;
  return { credential: 'client_assertion', token, target };
}

/**
 * Reads what a token request asks for. Nothing here looks at the caller’s token; unknown parameters are ignored
 * (RFC 6749, section 3.2).
 *
 * @param tenant the tenant in the path of the Entra-shaped endpoint, else undefined
 * @throws OAuthError
 */
export function readTokenRequest(form: Form, tenant: string | undefined, names: OAuthNames): TokenRequest {
  if (tenant !== undefined && !isGuid(tenant)) {
    throw badTarget('The tenant in the path must be a tenant id, a GUID.', 'tenant');
  }
  refuseCredentials(form);
  const grantType = need(form, 'grant_type');
  if (grantType === TOKEN_EXCHANGE) return readExchange(form, names);
  if (grantType === 'client_credentials') return readClientCredentials(form, names, tenant?.toLowerCase());
  throw new OAuthError('unsupported_grant_type', {
    description: `The grant_type must be client_credentials or ${TOKEN_EXCHANGE}.`,
    reason: 'grant_type',
  });
}
