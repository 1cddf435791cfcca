import * as z from 'zod';
import { problems } from '../errors.ts';
import { type OAuthNames, TOKEN_EXCHANGE } from './oauth-request.ts';

/** The description of the HTTP interface, OpenAPI 3.1. Bodies are those that the functions check requests with. */

type Schema = Readonly<Record<string, unknown>>;

/** The schemas that validate the bodies of requests, by the function that uses them. */
export type RequestBodies = Readonly<
  Record<'workspaceToken' | 'endpointToken' | 'endpointKey' | 'requestRotation' | 'explain', z.ZodType>
>;

interface Operation {
  operationId: string;
  summary: string;
  /** Who may call; `form`: whoever has a token to put into the form. */
  who: 'caller' | 'operator' | 'anyone' | 'form';
  body?: Schema;
  parameters?: readonly Schema[];
  /** By status; absent: a 200 with any JSON. */
  answers?: Readonly<Record<string, Schema>>;
}

const toSchema = (schema: z.ZodType, io: 'input' | 'output'): Schema => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
};

const instant = z.iso.datetime();
const token = { accessToken: z.string(), tokenType: z.literal('Bearer'), expiresOn: instant, refreshBy: instant };

/** What the broker answers; kept true by a test that reads real answers with it. */
const answers = {
  workspaceToken: z.strictObject({ ...token, audience: z.enum(['aml', 'arm']), identity: z.string() }),
  endpointToken: z.strictObject({
    ...token,
    scoringUri: z.string(),
    authMode: z.enum(['aml_token', 'aad_token']),
    stale: z.boolean(),
  }),
  endpointKey: z.strictObject({
    key: z.string(),
    keyName: z.enum(['primary', 'secondary']),
    validUntil: instant.nullable(),
    scoringUri: z.string(),
  }),
  listWorkspaces: z.strictObject({
    workspaces: z.array(
      z.strictObject({
        name: z.string(),
        audiences: z.array(z.enum(['aml', 'arm'])),
        endpoints: z.array(z.strictObject({ name: z.string(), token: z.boolean(), key: z.boolean() })),
      }),
    ),
  }),
  token: z.strictObject({
    token_type: z.literal('Bearer'),
    access_token: z.string(),
    expires_in: z.int().describe('Seconds.'),
    refresh_in: z.int().describe('Seconds until the client should ask again.'),
    issued_token_type: z.string(),
    stale: z.literal(true).optional(),
  }),
  problem: z.object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.enum(Object.keys(problems)),
    detail: z.string(),
    correlationId: z.string(),
  }),
  oauthError: z.object({ error: z.string(), error_description: z.string(), correlation_id: z.string() }),
} as const;

const tokenForm = ({ scopes }: OAuthNames) =>
  z.looseObject({
    grant_type: z.enum([TOKEN_EXCHANGE, 'client_credentials']),
    resource: z.string().optional().describe('{PUBLIC_URL}/workspaces/{name}, with or without /endpoints/{endpoint}.'),
    scope: z.enum([scopes.aml, scopes.arm]).optional().describe('For all but endpoints.'),
    subject_token: z.string().optional().describe('Token exchange: the caller’s token.'),
    subject_token_type: z.string().optional(),
    client_id: z.string().optional().describe('Client credentials: the client id of the identity.'),
    client_assertion: z.string().optional().describe('Client credentials: the caller’s token.'),
    client_assertion_type: z.string().optional(),
  });

const inPath = (name: string): Schema => ({ name, in: 'path', required: true, schema: { type: 'string' } });

const idempotencyKey: Schema = {
  ...{ name: 'Idempotency-Key', in: 'header', required: false, schema: { type: 'string', maxLength: 255 } },
  description: 'The same key is the same run.',
};

const json = (schema: Schema, type = 'application/json'): Schema => ({ content: { [type]: { schema } } });
const ref = (name: keyof typeof answers): Schema => ({ $ref: `#/components/schemas/${name}` });
const good = (name: keyof typeof answers) => ({ 200: ref(name) });
const anything: Schema = { type: 'object' };

/** Every route, by path and method. */
function operations(names: OAuthNames, bodies: RequestBodies): Readonly<Record<string, Record<string, Operation>>> {
  const body = (name: keyof RequestBodies) => json(toSchema(bodies[name], 'input'));
  const form = json(toSchema(tokenForm(names), 'input'), 'application/x-www-form-urlencoded');
  const oauth = { who: 'form', body: form, answers: good('token') } as const;
  const run = { 200: anything, 202: anything };
  return {
    '/workspaces': {
      get: {
        operationId: 'listWorkspaces',
        summary: 'What this caller may obtain',
        who: 'caller',
        answers: good('listWorkspaces'),
      },
    },
    '/workspaces/{workspace}/token': {
      post: {
        operationId: 'workspaceToken',
        summary: 'A token for a workspace',
        who: 'caller',
        body: body('workspaceToken'),
        answers: good('workspaceToken'),
      },
    },
    '/workspaces/{workspace}/endpoints/{endpoint}/token': {
      post: {
        operationId: 'endpointToken',
        summary: 'A token for an endpoint',
        who: 'caller',
        body: body('endpointToken'),
        answers: good('endpointToken'),
      },
    },
    '/workspaces/{workspace}/endpoints/{endpoint}/key': {
      post: {
        operationId: 'endpointKey',
        summary: 'The key of an endpoint to use now',
        who: 'caller',
        body: body('endpointKey'),
        answers: good('endpointKey'),
      },
    },
    '/oauth2/token': { post: { operationId: 'oauthToken', summary: 'A token, by OAuth 2.0', ...oauth } },
    '/{tenant}/oauth2/v2.0/token': {
      post: { operationId: 'entraToken', summary: 'A token, in Entra’s shape', ...oauth },
    },
    '/{tenant}/v2.0/.well-known/openid-configuration': {
      get: { operationId: 'openIdConfiguration', summary: 'Metadata in Entra’s shape', who: 'anyone' },
    },
    '/.well-known/oauth-authorization-server': {
      get: { operationId: 'authorizationServer', summary: 'Metadata (RFC 8414)', who: 'anyone' },
    },
    '/rotations': { get: { operationId: 'listRotations', summary: 'All rotations', who: 'operator' } },
    '/rotations/{rotation}': {
      get: { operationId: 'rotation', summary: 'The state of a rotation', who: 'operator' },
      post: {
        ...{ operationId: 'requestRotation', summary: 'Rotate now', who: 'operator', body: body('requestRotation') },
        ...{ parameters: [idempotencyKey], answers: { 202: anything } },
      },
    },
    '/rotations/{rotation}/runs/{run}': {
      get: {
        operationId: 'rotationRun',
        summary: '202 while it goes on, 200 when it is done',
        who: 'operator',
        answers: run,
      },
    },
    '/explain': {
      post: {
        operationId: 'explain',
        summary: 'Which grant allows this, or why none does',
        who: 'operator',
        body: body('explain'),
      },
    },
    '/health/live': { get: { operationId: 'live', summary: 'The process answers', who: 'anyone' } },
    '/health/ready': {
      get: {
        operationId: 'ready',
        summary: 'Whether anything can be issued',
        who: 'anyone',
        answers: { 200: anything, 503: anything },
      },
    },
    '/openapi.json': { get: { operationId: 'openApi', summary: 'This document', who: 'anyone' } },
  };
}

function toOperation(
  path: string,
  { who, body, parameters = [], answers: given = { 200: anything }, ...told }: Operation,
): Schema {
  const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => inPath(name));
  const failure = who === 'form' ? json(ref('oauthError')) : json(ref('problem'), 'application/problem+json');
  return {
    ...told,
    security: who === 'caller' || who === 'operator' ? [{ callerToken: [] }] : [],
    parameters: [...named, ...parameters],
    ...(body === undefined ? {} : { requestBody: { required: true, ...body } }),
    responses: {
      ...Object.fromEntries(
        Object.entries(given).map(([status, schema]) => [status, { description: told.summary, ...json(schema) }]),
      ),
      default: { description: 'A failure, with what to do', ...failure },
    },
  };
}

/** The OpenAPI document of this broker. */
export function openApiDocument(names: OAuthNames, bodies: RequestBodies): object {
  const paths = Object.entries(operations(names, bodies)).map(([path, methods]) => [
    path,
    Object.fromEntries(Object.entries(methods).map(([method, operation]) => [method, toOperation(path, operation)])),
  ]);
  return {
    openapi: '3.1.0',
    info: { title: 'Azure ML token broker', version: '1' },
    servers: [{ url: names.publicUrl }],
    paths: Object.fromEntries(paths),
    components: {
      securitySchemes: {
        callerToken: { type: 'http', scheme: 'bearer', description: 'The caller’s own token for this broker.' },
      },
      schemas: Object.fromEntries(Object.entries(answers).map(([name, schema]) => [name, toSchema(schema, 'output')])),
    },
  };
}
