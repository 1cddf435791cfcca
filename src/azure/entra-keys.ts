import { createDefaultHttpClient, createPipelineFromOptions, createPipelineRequest } from '@azure/core-rest-pipeline';
import * as z from 'zod';
import type { FetchKeys } from '../callers/published-keys.ts';
import { UpstreamError } from '../errors.ts';
import { callAzure, clientOptions, parseAnswer, readRetryAfter } from './transport.ts';

const service = 'entra keys';

/** Entra publishes RSA keys without `alg`; the verifier pins RS256. Anything else in the set is passed over. */
const rsaKey = z
  .object({
    kty: z.literal('RSA'),
    kid: z.string().min(1),
    n: z.string().min(1),
    e: z.string().min(1),
    use: z.string().optional(),
  })
  .transform(({ use, ...key }) => (use === undefined ? key : { ...key, use }));

const published = z.looseObject({ keys: z.array(z.unknown()) });

/** Fetches the keys of a tenant (Microsoft reference: OpenID Connect metadata, `jwks_uri`; RFC 7517). */
export function createFetchEntraKeys(authorityHost: string): FetchKeys<string> {
  const { additionalPolicies, ...options } = clientOptions();
  const pipeline = createPipelineFromOptions(options);
  for (const { policy } of additionalPolicies) pipeline.addPolicy(policy);
  const client = createDefaultHttpClient();

  return async (tenantId) => {
    const request = createPipelineRequest({ url: `${authorityHost}/${tenantId}/discovery/v2.0/keys` });
    request.headers.set('accept', 'application/json');
    const { status, bodyAsText, headers } = await callAzure(service, () => pipeline.sendRequest(client, request));
    if (status !== 200) {
      throw new UpstreamError({
        service,
        kind: status === 429 ? 'throttled' : status >= 500 ? 'unavailable' : 'unexpected',
        status,
        retryAfterSeconds: readRetryAfter(headers.get('retry-after')),
      });
    }
    const { keys } = parseAnswer(service, published, toJson(bodyAsText ?? ''));
    const usable = keys.flatMap((key) => rsaKey.safeParse(key).data ?? []);
    if (usable.length === 0) throw new UpstreamError({ service, kind: 'unexpected', upstreamCode: 'no_rsa_keys' });
    return { keys: usable };
  };
}

function toJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
