import type { HttpHandler, HttpRequestInit } from '@azure/functions';
import type { setUp } from './functions-in-memory.ts';
import { aGet, aPost } from './invoke.ts';

type World = ReturnType<typeof setUp>;
const prod = { workspace: 'prod', endpoint: 'fraud-aml' };
/** Every route for callers: its name, its handler, and a request that a grant of the tests allows. */
export const routes: [string, (world: World) => HttpHandler, HttpRequestInit][] = [
  ['POST /workspaces/{workspace}/token', (world) => world.workspaceToken, aPost(prod)],
  ['POST …/endpoints/{endpoint}/token', (world) => world.endpointToken, aPost(prod)],
  ['POST …/endpoints/{endpoint}/key', (world) => world.endpointKey, aPost({ ...prod, endpoint: 'fraud-scorer' })],
  ['GET /workspaces', (world) => world.listWorkspaces, aGet],
];

/** Those that take a body. */
export const posts = routes.slice(0, 3);
