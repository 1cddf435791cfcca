import type { HttpHandler } from '@azure/functions';
import { answering } from '../http/handler.ts';
import type { OAuthNames } from '../http/oauth-request.ts';
import { openApiDocument, type RequestBodies } from '../http/open-api.ts';
import { toJsonAnswer } from '../http/problem.ts';

/** `GET /openapi.json` */
export function openApi(broker: () => Promise<{ oauth: OAuthNames }>, bodies: RequestBodies): HttpHandler {
  return answering(async () => toJsonAnswer(openApiDocument((await broker()).oauth, bodies)));
}
