import type { TokenCredential } from '@azure/core-auth';
import {
  bearerTokenAuthenticationPolicy,
  createDefaultHttpClient,
  createPipelineFromOptions,
  createPipelineRequest,
  type PipelineResponse,
} from '@azure/core-rest-pipeline';
import * as z from 'zod';
import { UpstreamError, type UpstreamKind } from '../errors.ts';
import type { Application, Fact, Password } from '../rotation/facts.ts';
import type { Applications } from '../rotation/ports.ts';
import { callAzure, clientOptions, parseAnswer, readRetryAfter } from './transport.ts';

export interface GraphOptions {
  endpoint: string;
  scope: string;
  credential: TokenCredential;
}

/** An application that was looked up by its client id. */
export interface FoundApplication {
  objectId: string;
  application: Application;
  /** By keyId: the first characters of each password's text, which Graph goes on showing; undefined where it does not. */
  hints: ReadonlyMap<string, string | undefined>;
}

export interface Graph extends Applications {
  /** The application of this client id (appId). Fails with UpstreamError where Graph's answer says nothing of it. */
  findApplication(clientId: string): Promise<Fact<FoundApplication>>;
}

const service = 'graph';
const selected = '?$select=id,appId,displayName,passwordCredentials';

const instant = z.iso.datetime().transform((text) => new Date(text));
/** Ids compare without case; ours are in lower case everywhere. */
const id = z.guid().toLowerCase();

/** Graph's schema lets both dates be absent; one such password of somebody else must not hide all the others. */
const ALWAYS = new Date(0);
const NEVER = new Date('9999-12-31T23:59:59.000Z');

const passwordAnswer = z
  .looseObject({
    keyId: id,
    displayName: z.string().nullish(),
    startDateTime: instant.nullish(),
    endDateTime: instant.nullish(),
  })
  .transform(
    ({ keyId, displayName, startDateTime, endDateTime }): Password => ({
      keyId,
      displayName: displayName ?? undefined,
      startsOn: startDateTime ?? ALWAYS,
      endsOn: endDateTime ?? NEVER,
    }),
  );

const applicationAnswer = z
  .looseObject({ appId: id, passwordCredentials: z.array(passwordAnswer) })
  .transform(({ appId, passwordCredentials }): Application => ({ appId, passwords: passwordCredentials }));

const foundAnswer = z.looseObject({
  id: z.guid(),
  passwordCredentials: z.array(z.looseObject({ keyId: id, hint: z.string().nullish() })),
});

const madeAnswer = z.looseObject({ secretText: z.string().min(1) });

const errorAnswer = z.looseObject({
  error: z.looseObject({ code: z.string().regex(/^[\w.-]{1,80}$/), message: z.string().catch('') }),
});

/** What Graph says of an application that is not there; any other 404 says nothing of it. */
const APPLICATION_NOT_FOUND = 'Request_ResourceNotFound';
/** The object in the directory is full: passwords, certificates and other collections count together. */
const NO_ROOM = 'Directory_ResourceSizeExceeded';
/** The tenant's app management policy: a shorter life may be allowed … */
const LIFETIME_REFUSED = 'CredentialInvalidLifetimeAsPerAppPolicy';
/** … or no password at all. */
const TYPE_REFUSED = 'CredentialTypeNotAllowedAsPerAppPolicy';
/** Graph has no code of its own for this; its sentence is the same for all clients, and in English. */
const NO_SUCH_PASSWORD = /^No password credential found with keyId\b/i;

/** A refusal, and its sentence: that one is compared here and goes nowhere. */
function readRefusal({ status, headers, bodyAsText }: PipelineResponse): { error: UpstreamError; message: string } {
  const told = errorAnswer.safeParse(toJson(bodyAsText ?? '')).data?.error;
  const retryAfterSeconds = readRetryAfter(headers.get('retry-after'));
  const kind = kindOf(status, told?.code ?? '');
  const error = new UpstreamError({ service, kind, status, upstreamCode: told?.code, retryAfterSeconds });
  return { error, message: told?.message ?? '' };
}

/**
 * Two writes to one application at once are told as `Directory_ConcurrencyViolation` with status 400, 409, 500 or 503.
 * Trying again later is all that helps, as with 429; nothing else that is asked for here can be a 409.
 */
function kindOf(status: number, code: string): UpstreamKind {
  if (status === 429 || status === 409 || /concurren/i.test(code)) return 'throttled';
  if (status === 401) return 'credential_refused';
  if (status === 403 || code === TYPE_REFUSED) return 'forbidden';
  if (status === 404) return code === APPLICATION_NOT_FOUND ? 'not_found' : 'unexpected';
  return status >= 500 || status === 408 ? 'unavailable' : 'unexpected';
}

function toJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What a look at an application tells: each refusal is a fact of its own, or no fact and thrown. */
function toFact<T>(answer: PipelineResponse, read: (json: unknown) => T): Fact<T> {
  if (answer.status === 200) return { kind: 'found', value: read(toJson(answer.bodyAsText ?? '')) };
  const { error } = readRefusal(answer);
  if (error.kind === 'not_found' || error.kind === 'forbidden') return { kind: error.kind };
  if (error.outOfReach) return { kind: 'unreadable', retryAfterSeconds: error.retryAfterSeconds };
  throw error;
}

/** A look that Azure could not be asked for at all (no connection, no token for now) is a fact too. */
async function orUnreadable<T>(look: () => Promise<Fact<T>>): Promise<Fact<T>> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof UpstreamError) || !error.outOfReach) throw error;
    return { kind: 'unreadable', retryAfterSeconds: error.retryAfterSeconds };
  }
}

/**
 * Passwords of applications (Microsoft Graph v1.0: application, addPassword, removePassword). Graph has no maintained
 * SDK for these few calls; they go through the Azure pipeline with its bearer policy. The collection is never patched:
 * Graph does not support that for passwords.
 */
export function createGraph({ endpoint, scope, credential }: GraphOptions): Graph {
  const { additionalPolicies, ...options } = clientOptions();
  const pipeline = createPipelineFromOptions(options);
  for (const { policy } of additionalPolicies) pipeline.addPolicy(policy);
  pipeline.addPolicy(bearerTokenAuthenticationPolicy({ credential, scopes: scope }));
  const client = createDefaultHttpClient();

  const send = (method: 'GET' | 'POST', path: string, body?: object): Promise<PipelineResponse> => {
    const request = createPipelineRequest({ method, url: `${endpoint}/v1.0/applications${path}` });
    request.headers.set('accept', 'application/json');
    if (body !== undefined) {
      request.headers.set('content-type', 'application/json');
      request.body = JSON.stringify(body);
    }
    return callAzure(service, () => pipeline.sendRequest(client, request));
  };
  const pathOf = (objectId: string) => `/${encodeURIComponent(objectId)}`;

  return {
    read: (objectId) =>
      orUnreadable(async () =>
        toFact(await send('GET', `${pathOf(objectId)}${selected}`), (json) =>
          parseAnswer(service, applicationAnswer, json),
        ),
      ),

    findApplication: (clientId) =>
      orUnreadable(async () => {
        const key = encodeURIComponent(clientId.replaceAll("'", "''"));
        return toFact(await send('GET', `(appId='${key}')${selected}`), (json): FoundApplication => {
          const found = parseAnswer(service, foundAnswer, json);
          const hints = new Map(found.passwordCredentials.map(({ keyId, hint }) => [keyId, hint ?? undefined]));
          return { objectId: found.id, application: parseAnswer(service, applicationAnswer, json), hints };
        });
      }),

    async addPassword(objectId, { displayName, endsOn }) {
      // Without a start: Graph takes its own now, and no clock of ours makes a password that is not valid yet.
      const passwordCredential = { displayName, endDateTime: endsOn.toISOString() };
      const answer = await send('POST', `${pathOf(objectId)}/addPassword`, { passwordCredential });
      if (answer.status !== 200) {
        const { error } = readRefusal(answer);
        if (error.upstreamCode === LIFETIME_REFUSED) return 'lifetime_refused';
        if (error.upstreamCode === NO_ROOM) return 'no_room';
        throw error;
      }
      const json = toJson(answer.bodyAsText ?? '');
      const { secretText } = parseAnswer(service, madeAnswer, json);
      return { made: parseAnswer(service, passwordAnswer, json), secretText };
    },

    async removePassword(objectId, keyId) {
      const answer = await send('POST', `${pathOf(objectId)}/removePassword`, { keyId });
      if (answer.status === 204) return;
      const { error, message } = readRefusal(answer);
      // Also told while Graph does not know of a new password yet; the next look shows whether it is still there.
      const gone =
        error.status === 400 && error.upstreamCode === 'Request_BadRequest' && NO_SUCH_PASSWORD.test(message);
      if (!gone) throw error;
    },
  };
}
