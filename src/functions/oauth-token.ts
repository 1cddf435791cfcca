import { forTokenRequests, type OAuthGate } from '../http/oauth-handler.ts';
import type { Exchange } from '../issuing/exchange.ts';

/** `POST /oauth2/token` and `POST /{tenant}/oauth2/v2.0/token`: one handler at two addresses. */
export function oauthToken(broker: () => Promise<OAuthGate & { exchange: Exchange }>) {
  return forTokenRequests(broker, ({ broker: { exchange }, ...asked }) => exchange(asked));
}
