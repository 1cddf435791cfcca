import { type PipelinePolicy, RestError } from '@azure/core-rest-pipeline';
import * as z from 'zod';
import { UpstreamError, type UpstreamKind } from '../errors.ts';

/** How every Azure client of the broker talks, and how their failures are reduced to UpstreamError. */

/** One call may take this long; a caller is better off with a clear 503 than with a gateway's time-out. */
const TIMEOUT_MS = 10_000;

const timeoutPolicy: PipelinePolicy = {
  name: 'brokerTimeoutPolicy',
  sendRequest: (request, next) => {
    if (request.timeout === 0 || request.timeout > TIMEOUT_MS) request.timeout = TIMEOUT_MS;
    return next(request);
  },
};

/** The SDKs read a code out of a refusal's body and break on one without; status and Retry-After say enough. */
const emptyRefusalPolicy: PipelinePolicy = {
  name: 'brokerEmptyRefusalPolicy',
  sendRequest: async (request, next) => {
    const response = await next(request);
    const text = response.bodyAsText?.trim() ?? '';
    // 304 has no body by its nature, and refuses nothing.
    if (response.status >= 300 && response.status !== 304 && (text === '' || text === 'null')) {
      throw new RestError(`status ${response.status} without a body`, {
        statusCode: response.status,
        request,
        response,
      });
    }
    return response;
  },
};

/**
 * Options for every SDK client. No retries inside the SDKs: they would sleep through a Retry-After within the request;
 * the broker answers 503 with Retry-After or serves what it holds. No redirects: a token goes where it was meant to go.
 */
export function clientOptions(...morePolicies: PipelinePolicy[]) {
  const policies = [timeoutPolicy, emptyRefusalPolicy, ...morePolicies];
  return {
    retryOptions: { maxRetries: 0 },
    redirectOptions: { maxRetries: 0 },
    additionalPolicies: policies.map((policy) => ({ policy, position: 'perCall' as const })),
  };
}

const MAX_CAUSES = 5;

/** A thrown thing and what caused it. */
export function* chainOf(thrown: unknown): Generator<object> {
  let error = thrown;
  for (let depth = 0; depth < MAX_CAUSES && typeof error === 'object' && error !== null; depth++) {
    yield error;
    error = 'cause' in error ? error.cause : undefined;
  }
}

const codeText = z.string().regex(/^[\w.-]{1,64}$/);

const restError = z.looseObject({
  name: z.literal('RestError'),
  statusCode: z.number().optional(),
  code: codeText.optional().catch(undefined),
  details: z
    .looseObject({
      error: z.looseObject({ innerError: z.looseObject({ code: codeText }).optional() }).optional(),
      odataError: z.looseObject({ code: codeText }).optional(),
    })
    .optional()
    .catch(undefined),
  response: z
    .looseObject({
      headers: z.custom<{ get(name: string): string | undefined }>(
        (value) => typeof value === 'object' && value !== null && 'get' in value,
      ),
    })
    .optional()
    .catch(undefined),
});

/** Seconds of a Retry-After header (RFC 9110, section 10.2.3; Azure sends seconds), at most an hour. */
export function readRetryAfter(header: string | undefined): number | undefined {
  if (header === undefined || !/^\d{1,6}$/.test(header)) return undefined;
  return Math.min(Number(header), 3600);
}

/** What a refusal's status means; undefined: no answer came. */
export function kindOfStatus(status: number | undefined): UpstreamKind {
  if (status === undefined || status >= 500 || status === 408) return 'unavailable';
  if (status === 401) return 'credential_refused';
  if (status === 403) return 'forbidden';
  if (status === 404) return 'not_found';
  if (status === 409 || status === 412) return 'conflict';
  // A body that is not what the contract says reaches us as a failure with status 200.
  return status === 429 ? 'throttled' : 'unexpected';
}

function fromRestError(service: string, error: z.output<typeof restError>, cause: unknown): UpstreamError {
  return new UpstreamError({
    service,
    kind: kindOfStatus(error.statusCode),
    status: error.statusCode,
    upstreamCode: error.details?.error?.innerError?.code ?? error.details?.odataError?.code ?? error.code,
    retryAfterSeconds: readRetryAfter(error.response?.headers.get('retry-after')),
    cause,
  });
}

const signInErrors = ['AuthenticationRequiredError', 'CredentialUnavailableError', 'AuthenticationError'];

const msalCause = z.looseObject({
  status: z.coerce.number().int().min(100).max(599).optional().catch(undefined),
  errorNo: z.coerce.number().int().positive().optional().catch(undefined),
});

/** AADSTS numbers that mean "later", whatever the status (Microsoft reference: AADSTS error codes). */
const transientCodes = [90033, 90055];

/** The numbers of AADSTS codes are read, never their texts: those change and are translated. */
function fromSignInError(service: string, thrown: unknown): UpstreamError {
  const facts = [...chainOf(thrown)].map((error) => msalCause.safeParse(error).data);
  const status = facts.find((fact) => fact?.status !== undefined)?.status;
  const errorNo = facts.find((fact) => fact?.errorNo !== undefined)?.errorNo;
  // A refusal that asks for interaction (Conditional Access, for example) carries a number and no status.
  const refused =
    (status === 400 || status === 401 || status === 403 || (status === undefined && errorNo !== undefined)) &&
    !transientCodes.includes(errorNo ?? 0);
  return new UpstreamError({
    service,
    kind: refused ? 'credential_refused' : status === 429 || errorNo === 90055 ? 'throttled' : 'unavailable',
    status,
    upstreamCode: errorNo === undefined ? undefined : `AADSTS${errorNo}`,
    cause: thrown,
  });
}

/** Reduces whatever an SDK threw. Our own errors pass through. */
export function toUpstreamError(service: string, thrown: unknown): unknown {
  for (const error of chainOf(thrown)) {
    if (error instanceof UpstreamError) return error;
    if (error instanceof Error && signInErrors.includes(error.name)) {
      return fromSignInError(`${service} (sign-in)`, thrown);
    }
    const rest = restError.safeParse(error);
    if (rest.success) return fromRestError(service, rest.data, thrown);
    if (error instanceof Error && error.name === 'AbortError') {
      return new UpstreamError({ service, kind: 'unavailable', upstreamCode: 'timeout', cause: thrown });
    }
  }
  // Inside an SDK call this means an answer of a shape that its mapper did not foresee.
  if (thrown instanceof TypeError) return new UpstreamError({ service, kind: 'unexpected', cause: thrown });
  return thrown;
}

/**
 * Ends a call that does not answer; for the managed-identity endpoint, whose SDK has a transport of its own and no
 * time-out. The call itself goes on and is forgotten.
 */
export async function withTimeout<T>(service: string, call: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new UpstreamError({ service, kind: 'unavailable', upstreamCode: 'timeout' })),
    TIMEOUT_MS,
  );
  try {
    return await Promise.race([call, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs one SDK call; what it throws becomes UpstreamError. */
export async function callAzure<T>(service: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw toUpstreamError(service, error);
  }
}

/** Checks an SDK's answer against what the contract says; a breach is `unexpected`. */
export function parseAnswer<T extends z.ZodType>(service: string, schema: T, answer: unknown): z.output<T> {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues[0]?.path.join('.') ?? '';
  throw new UpstreamError({ service, kind: 'unexpected', upstreamCode: `contract:${where}` });
}
