import type { TokenCredential } from '@azure/core-auth';
import {
  bearerTokenAuthenticationPolicy,
  createDefaultHttpClient,
  createPipelineFromOptions,
  createPipelineRequest,
  type PipelineResponse,
} from '@azure/core-rest-pipeline';
import * as z from 'zod';
import { UpstreamError } from '../errors.ts';
import type { Password } from '../rotation/facts.ts';
import type { Applications } from '../rotation/ports.ts';
import { callAzure, clientOptions, parseAnswer, readRetryAfter } from './transport.ts';

export interface GraphOptions {
  endpoint: string;
  scope: string;
  credential: TokenCredential;
}

const service = 'graph';

const instant = z.iso.datetime().transform((text) => new Date(text));

const passwordAnswer = z
  .looseObject({ keyId: z.guid(), displayName: z.string().nullish(), startDateTime: instant, endDateTime: instant })
  .transform(
    ({ keyId, displayName, startDateTime, endDateTime }): Password => ({
      keyId,
      displayName: displayName ?? undefined,
      startsOn: startDateTime,
      endsOn: endDateTime,
    }),
  );

const applicationAnswer = z.looseObject({
  id: z.string(),
  appId: z.guid(),
  passwordCredentials: z.array(passwordAnswer),
});
const madeAnswer = z.looseObject({ secretText: z.string().min(1) });

const errorAnswer = z.looseObject({
  error: z.looseObject({ code: z.string().regex(/^[\w.-]{1,80}$/), message: z.string().optional() }),
});

/**
 * Two writes to one application at once: Graph says so in four shapes (400, 409, 500, 503), told by the code. Trying
 * again later is all that helps.
 */
const concurrencyCodes = [
  'Directory_ConcurrencyViolation',
  'Directory_ConcurrentOperation',
  'Request_MultipleObjectsWithSameKeyValue',
];

function fail({ status, headers, bodyAsText }: PipelineResponse): UpstreamError {
  const code = errorAnswer.safeParse(toJson(bodyAsText ?? '')).data?.error.code;
  const retryAfterSeconds = readRetryAfter(headers.get('retry-after'));
  const kind =
    status === 429 || (code !== undefined && concurrencyCodes.includes(code))
      ? 'throttled'
      : status === 401
        ? 'credential_refused'
        : status === 403
          ? 'forbidden'
          : status === 404
            ? 'not_found'
            : status >= 500
              ? 'unavailable'
              : 'unexpected';
  return new UpstreamError({ service, kind, status, upstreamCode: code, retryAfterSeconds });
}

function toJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Passwords of applications (Microsoft Graph v1.0: application, addPassword, removePassword). Graph has no maintained
 * SDK for these few calls; they go through the Azure pipeline with its bearer policy. The collection is never patched:
 * Graph does not support that for passwords.
 */
export function createGraph({ endpoint, scope, credential }: GraphOptions): Applications {
  const { additionalPolicies, ...options } = clientOptions();
  const pipeline = createPipelineFromOptions(options);
  for (const { policy } of additionalPolicies) pipeline.addPolicy(policy);
  pipeline.addPolicy(bearerTokenAuthenticationPolicy({ credential, scopes: scope }));
  const client = createDefaultHttpClient();

  const send = (method: 'GET' | 'POST', objectId: string, path: string, body?: object): Promise<PipelineResponse> => {
    const url = `${endpoint}/v1.0/applications/${encodeURIComponent(objectId)}${path}`;
    const request = createPipelineRequest({ method, url });
    request.headers.set('accept', 'application/json');
    if (body !== undefined) {
      request.headers.set('content-type', 'application/json');
      request.body = JSON.stringify(body);
    }
    return callAzure(service, () => pipeline.sendRequest(client, request));
  };

  return {
    async read(objectId) {
      const answer = await send('GET', objectId, '?$select=id,appId,displayName,passwordCredentials');
      if (answer.status === 404) return { kind: 'not_found' };
      if (answer.status === 403) return { kind: 'forbidden' };
      if (answer.status !== 200) {
        const error = fail(answer);
        if (!error.outOfReach) throw error;
        return { kind: 'unreadable', retryAfterSeconds: error.retryAfterSeconds };
      }
      const { appId, passwordCredentials } = parseAnswer(service, applicationAnswer, toJson(answer.bodyAsText ?? ''));
      return { kind: 'found', value: { appId, passwords: passwordCredentials } };
    },

    async addPassword(objectId, { displayName, endsOn }) {
      const passwordCredential = { displayName, endDateTime: endsOn.toISOString() };
      const answer = await send('POST', objectId, '/addPassword', { passwordCredential });
      if (answer.status !== 200) {
        const error = fail(answer);
        if (error.upstreamCode === 'CredentialInvalidLifetimeAsPerAppPolicy') return 'lifetime_refused';
        throw error;
      }
      const json = toJson(answer.bodyAsText ?? '');
      const { secretText } = parseAnswer(service, madeAnswer, json);
      return { made: parseAnswer(service, passwordAnswer, json), secretText };
    },

    async removePassword(objectId, keyId) {
      const answer = await send('POST', objectId, '/removePassword', { keyId });
      if (answer.status === 204) return;
      const error = fail(answer);
      // Graph says 400 for a keyId that is not (or no longer) there; the next look shows whether it is.
      if (error.status === 400 && error.upstreamCode === 'Request_BadRequest') return;
      throw error;
    },
  };
}
