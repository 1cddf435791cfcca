import type { EntraError } from './entra-error.ts';

/** Every refusal that the sandbox's Entra gives by itself, each with its code, status, OAuth word and sentence. */
export const refusals = {
  unknownTenant: (tenant: string): EntraError => ({
    code: 90002,
    status: 400,
    error: 'invalid_tenant',
    text: `Tenant '${tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.`,
  }),
  badTenantName: (tenant: string): EntraError => ({
    code: 900023,
    status: 400,
    error: 'invalid_request',
    text: `Specified tenant identifier '${tenant}' is neither a valid DNS name, nor a valid external domain.`,
  }),
  missingParameter: (name: string): EntraError => ({
    code: 900144,
    status: 400,
    error: 'invalid_request',
    text: `The request body must contain the following parameter: '${name}'.`,
  }),
  unsupportedGrantType: (grantType: string): EntraError => ({
    code: 70003,
    status: 400,
    error: 'unsupported_grant_type',
    text: `The app requested an unsupported grant type '${grantType}'.`,
  }),
  badScope: (scope: string): EntraError => ({
    code: 70011,
    status: 400,
    error: 'invalid_scope',
    text: `The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. The scope ${scope} is not valid.`,
  }),
  unknownResource: (resource: string, tenant: string): EntraError => ({
    code: 500011,
    status: 400,
    error: 'invalid_resource',
    text: `The resource principal named ${resource} was not found in the tenant named ${tenant}. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant.`,
  }),
  unknownApplication: (appId: string, tenant: string): EntraError => ({
    code: 700016,
    status: 400,
    error: 'unauthorized_client',
    text: `Application with identifier '${appId}' was not found in the directory '${tenant}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.`,
  }),
  noClientCredential: (): EntraError => ({
    code: 7000216,
    status: 401,
    error: 'invalid_client',
    text: "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
  }),
  wrongSecret: (appId: string): EntraError => ({
    code: 7000215,
    status: 401,
    error: 'invalid_client',
    text: `Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '${appId}'.`,
  }),
  expiredSecret: (appId: string): EntraError => ({
    code: 7000222,
    status: 401,
    error: 'invalid_client',
    text: `The provided client secret keys for app '${appId}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds.`,
  }),
  badAssertionSignature: (): EntraError => ({
    code: 700027,
    status: 401,
    error: 'invalid_client',
    text: 'The certificate with identifier used to sign the client assertion is not registered on application, or its signature is not valid.',
  }),
  assertionOutOfTime: (): EntraError => ({
    code: 700024,
    status: 401,
    error: 'invalid_client',
    text: 'Client assertion is not within its valid time range.',
  }),
  noMatchingIssuer: (issuer: string): EntraError => ({
    code: 700211,
    status: 401,
    error: 'invalid_client',
    text: `No matching federated identity record found for presented assertion issuer '${issuer}'. Check your federated identity credential Subject, Audience and Issuer against the presented assertion.`,
  }),
  noMatchingSubject: (subject: string): EntraError => ({
    code: 700213,
    status: 401,
    error: 'invalid_client',
    text: `No matching federated identity record found for presented assertion subject '${subject}'. Check your federated identity credential Subject, Audience and Issuer against the presented assertion.`,
  }),
  noMatchingAudience: (audience: string): EntraError => ({
    code: 700212,
    status: 401,
    error: 'invalid_client',
    text: `No matching federated identity record found for presented assertion audience '${audience}'. Check your federated identity credential Subject, Audience and Issuer against the presented assertion.`,
  }),
  badUserAssertion: (): EntraError => ({
    code: 50013,
    status: 400,
    error: 'invalid_grant',
    text: 'Assertion failed signature validation.',
  }),
  expiredUserAssertion: (): EntraError => ({
    code: 500133,
    status: 400,
    error: 'invalid_grant',
    text: 'Assertion is not within its valid time range. Ensure that the access token is not expired before using it for user assertion, or request a new token.',
  }),
  userAssertionForAnother: (): EntraError => ({
    code: 500131,
    status: 400,
    error: 'invalid_grant',
    text: 'Assertion audience does not match the Client app presenting the assertion. The audience in the assertion must be the identifier of the application that requests on behalf of the user.',
  }),
  notAUser: (appId: string): EntraError => ({
    code: 7000114,
    status: 400,
    error: 'invalid_grant',
    text: `Application '${appId}' is not allowed to make application on-behalf-of calls.`,
  }),
  noConsent: (appId: string, name: string): EntraError => ({
    code: 65001,
    status: 400,
    error: 'invalid_grant',
    suberror: 'consent_required',
    text: `The user or administrator has not consented to use the application with ID '${appId}' named '${name}'. Send an interactive authorization request for this user and resource.`,
  }),
  wrongMethod: (method: string): EntraError => ({
    code: 900561,
    status: 405,
    error: 'invalid_request',
    text: `The endpoint only accepts POST requests. Received a ${method} request.`,
  }),
  badInstance: (): EntraError => ({
    code: 50049,
    status: 400,
    error: 'invalid_instance',
    text: 'Unknown or invalid instance.',
  }),
} as const;
