import type { HttpHandler } from '@azure/functions';
import { answering } from '../http/handler.ts';
import { openIdConfiguration } from '../http/oauth-metadata.ts';
import { isGuid, type OAuthNames } from '../http/oauth-request.ts';
import { toJsonAnswer } from '../http/problem.ts';

/**
 * `GET /{tenant}/v2.0/.well-known/openid-configuration`: the same for every tenant id, so that nobody learns which ones
 * the policy knows. Anything else is refused as Entra refuses it.
 */
export function openIdConfigurationOf(broker: () => Promise<{ oauth: OAuthNames }>): HttpHandler {
  return answering(async (request, { invocationId }) => {
    const { oauth } = await broker();
    const { tenant = '' } = request.params;
    if (isGuid(tenant)) return toJsonAnswer(openIdConfiguration(oauth, tenant.toLowerCase()));
    const refusal = {
      error: 'invalid_tenant',
      error_description: 'The tenant in the path must be a tenant id, a GUID.',
      correlation_id: invocationId,
    };
    return toJsonAnswer(refusal, 400);
  });
}
