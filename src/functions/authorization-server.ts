import type { HttpHandler } from '@azure/functions';
import { answering } from '../http/handler.ts';
import { authorizationServerMetadata } from '../http/oauth-metadata.ts';
import type { OAuthNames } from '../http/oauth-request.ts';
import { toJsonAnswer } from '../http/problem.ts';

/** `GET /.well-known/oauth-authorization-server` */
export function authorizationServer(broker: () => Promise<{ oauth: OAuthNames }>): HttpHandler {
  return answering(async () => toJsonAnswer(authorizationServerMetadata((await broker()).oauth)));
}
