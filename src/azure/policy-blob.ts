import type { TokenCredential } from '@azure/core-auth';
import {
  bearerTokenAuthenticationPolicy,
  createDefaultHttpClient,
  createPipelineFromOptions,
  createPipelineRequest,
} from '@azure/core-rest-pipeline';
import type { PolicySource } from '../config/policy-source.ts';
import { UpstreamError } from '../errors.ts';
import { callAzure, clientOptions, kindOfStatus, readRetryAfter } from './transport.ts';

export interface PolicyBlobOptions {
  /** The blob's https URL, without a query. */
  url: string;
  scope: string;
  /** Needs the role Storage Blob Data Reader on the container. */
  credential: TokenCredential;
}

const service = 'policy blob';

/** The first version of the service that takes tokens of Entra is older; this one is known to emulators too. */
const API_VERSION = '2023-11-03';

/** A policy of a thousand grants has some 300 KB; anything much larger is another file. */
const MAX_CHARACTERS = 4_000_000;

/**
 * The policy in a blob (Microsoft reference: Get Blob, conditional headers for Blob service operations). The blob is
 * sent only when its ETag has changed.
 */
export function createPolicyBlob({ url, scope, credential }: PolicyBlobOptions): PolicySource {
  const { additionalPolicies, ...options } = clientOptions();
  const pipeline = createPipelineFromOptions(options);
  for (const { policy } of additionalPolicies) pipeline.addPolicy(policy);
  pipeline.addPolicy(bearerTokenAuthenticationPolicy({ credential, scopes: scope }));
  const client = createDefaultHttpClient();

  return {
    async read(known) {
      const request = createPipelineRequest({ url });
      request.headers.set('x-ms-version', API_VERSION);
      if (known !== undefined) request.headers.set('if-none-match', known);
      const { status, headers, bodyAsText } = await callAzure(service, () => pipeline.sendRequest(client, request));
      if (status === 304 && known !== undefined) return 'unchanged';
      const version = headers.get('etag');
      if (status !== 200 || version === undefined) {
        const retryAfterSeconds = readRetryAfter(headers.get('retry-after'));
        throw new UpstreamError({ service, kind: kindOfStatus(status), status, retryAfterSeconds });
      }
      const text = bodyAsText ?? '';
      if (text.length > MAX_CHARACTERS) {
        throw new UpstreamError({ service, kind: 'unexpected', upstreamCode: 'too_large' });
      }
      return { text, version };
    },
  };
}
