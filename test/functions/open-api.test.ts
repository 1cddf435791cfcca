import { app } from '@azure/functions';
import { afterEach, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { problems } from '../../src/errors.ts';
import { endpointKeyBody } from '../../src/functions/endpoint-key.ts';
import { endpointTokenBody } from '../../src/functions/endpoint-token.ts';
import { explainBody } from '../../src/functions/explain.ts';
import { openApi } from '../../src/functions/open-api.ts';
import { requestRotationBody } from '../../src/functions/request-rotation.ts';
import { workspaceTokenBody } from '../../src/functions/workspace-token.ts';
import { registerTriggers } from '../../src/triggers.ts';
import { goodExchange } from '../support/malformed-token-requests.ts';
import { scopes } from '../support/memory-broker.ts';
import { routes } from './all-routes.ts';
import { setUp } from './functions-in-memory.ts';
import { invoke } from './invoke.ts';
import { aForm, setUp as setUpOAuth, tokenWorld } from './oauth-in-memory.ts';

const anyObject = z.record(z.string(), z.unknown());
const contents = z.record(z.string(), z.strictObject({ schema: anyObject }));
const operation = z.strictObject({
  operationId: z.string(),
  summary: z.string().min(5),
  security: z.array(z.strictObject({ callerToken: z.tuple([]) })),
  parameters: z.array(z.looseObject({ name: z.string(), in: z.enum(['path', 'header']), required: z.boolean() })),
  requestBody: z.strictObject({ required: z.literal(true), content: contents }).optional(),
  responses: z.record(z.string(), z.strictObject({ description: z.string(), content: contents })),
});
/** The part of OpenAPI 3.1 that the document uses. */
const openApiSchema = z.strictObject({
  openapi: z.literal('3.1.0'),
  info: z.strictObject({ title: z.string(), version: z.string() }),
  servers: z.array(z.strictObject({ url: z.string() })),
  paths: z.record(z.string().startsWith('/'), z.record(z.enum(['get', 'post']), operation.optional())),
  components: z.strictObject({ securitySchemes: anyObject, schemas: z.record(z.string(), anyObject) }),
});

const bodies = {
  workspaceToken: workspaceTokenBody,
  endpointToken: endpointTokenBody,
  endpointKey: endpointKeyBody,
  requestRotation: requestRotationBody,
  explain: explainBody,
};
const answer = await invoke(
  openApi(
    async () => ({
      oauth: { publicUrl: 'https://broker.example', scopes, armEndpoint: 'https://management.azure.com' },
    }),
    bodies,
  ),
  { method: 'GET' },
);
const document = openApiSchema.parse(answer.body);
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).flatMap(([method, told]) => (told === undefined ? [] : [{ path, method, ...told }])),
);
const schemaOf = (name: string) => z.fromJSONSchema(document.components.schemas[name] ?? false);

afterEach(() => {
  vi.restoreAllMocks();
});

describe('GET /openapi.json', () => {
  it('names every route that is registered, by the name of its function, and no other', () => {
    const registered: string[] = [];
    vi.spyOn(app, 'http').mockImplementation((name, { methods = [], route = '' }) => {
      for (const method of methods) registered.push(`${name}: ${method.toLowerCase()} /${route}`);
    });
    vi.spyOn(app, 'timer').mockImplementation(() => undefined);
    const broker = () => Promise.reject(new Error('nobody asks'));
    registerTriggers({ role: 'issuer', broker, refreshSchedule: '', rotateSchedule: '' });
    const told = operations.map(({ operationId, method, path }) => `${operationId}: ${method} ${path}`);
    expect(told.sort()).toEqual(registered.sort());
    expect(told.length).toBeGreaterThan(14);
  });

  it('declares every name in a path, and refers to nothing that is not there', () => {
    for (const { path, parameters } of operations) {
      const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      expect(parameters.filter(({ in: place }) => place === 'path').map(({ name }) => name)).toEqual(names);
    }
    const references = [...answer.text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name);
    expect(new Set(references)).toEqual(new Set(Object.keys(document.components.schemas)));
  });

  it('asks for a token on exactly the routes that do', () => {
    const open = operations.filter(({ security }) => security.length === 0).map(({ operationId }) => operationId);
    expect(open.sort()).toEqual([
      'authorizationServer',
      'entraToken',
      'live',
      'oauthToken',
      'openApi',
      'openIdConfiguration',
      'ready',
    ]);
  });

  it('has the bodies that requests are checked with', () => {
    const bodyOf = (path: string) =>
      z.fromJSONSchema(document.paths[path]?.post?.requestBody?.content['application/json']?.schema ?? false);
    const workspace = bodyOf('/workspaces/{workspace}/token');
    for (const body of [{}, { audience: 'arm' }, { audience: 'graph' }, { minRemaining: -1 }, { scope: 'x' }, []]) {
      expect([body, workspace.safeParse(body).success]).toEqual([body, workspaceTokenBody.safeParse(body).success]);
    }
    expect(bodyOf('/workspaces/{workspace}/endpoints/{endpoint}/key').safeParse({ a: 1 }).success).toBe(false);
    expect(bodyOf('/rotations/{rotation}').safeParse({ reason: 'compromised' }).success).toBe(true);
  });

  it.each([
    ['workspaceToken', 0],
    ['endpointToken', 1],
    ['endpointKey', 2],
    ['listWorkspaces', 3],
  ])('tells what %s answers', async (name, index) => {
    const route = routes[index];
    if (route === undefined) throw new Error('There is no such route.');
    const [, handlerOf, request] = route;
    const { status, body } = await invoke(handlerOf(setUp()), request);
    expect(status).toBe(200);
    expect(schemaOf(name).safeParse(body)).toMatchObject({ success: true });
    const refused = await invoke(handlerOf(setUp()), { ...request, headers: {} });
    expect(schemaOf('problem').safeParse(refused.body)).toMatchObject({ success: true });
    expect(schemaOf(name).safeParse(refused.body).success).toBe(false);
  });

  it('tells what the token endpoint answers', async () => {
    const { token } = setUpOAuth();
    const good = await invoke(token, aForm(goodExchange(tokenWorld)));
    expect(schemaOf('token').safeParse(good.body)).toMatchObject({ success: true });
    const refused = await invoke(token, aForm({}));
    expect(schemaOf('oauthError').safeParse(refused.body)).toMatchObject({ success: true });
  });

  it('has every error code', () => {
    expect(document.components.schemas.problem).toMatchObject({
      properties: { code: { enum: Object.keys(problems) } },
    });
  });
});
