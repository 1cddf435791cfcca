import { BrokerCredentialError } from './broker-credential-error.ts';

export interface ExchangeInput {
  fetch: typeof globalThis.fetch;
  /** The broker's public URL, without a trailing slash. */
  brokerUrl: string;
  /** The caller's own token for the broker. */
  callerToken: string;
  /** The target (RFC 8707). */
  resource: string;
  /** Undefined for an endpoint. */
  scope: string | undefined;
  signal: AbortSignal;
}

export interface ExchangedToken {
  accessToken: string;
  expiresInSeconds: number;
  /** When to ask again; undefined where the broker does not say. */
  refreshInSeconds: number | undefined;
}

const MAX_TEXT = 500;

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;
const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value.slice(0, MAX_TEXT) : undefined;
const secondsOf = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : undefined;

/** What failed on the way, in words: never a request or a body. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown failure';
  const { cause } = error;
  const code = isFields(cause) ? textOf(cause.code) : undefined;
  return code ?? error.message;
}

function parse(text: string): Fields {
  try {
    const value: unknown = JSON.parse(text);
    return isFields(value) ? value : {};
  } catch {
    return {};
  }
}

function refusalOf(response: Response, body: Fields): BrokerCredentialError {
  const error = textOf(body.error);
  const correlationId = textOf(body.correlation_id);
  const described = textOf(body.error_description) ?? 'The answer is none of the token broker. Check brokerUrl.';
  const trace = correlationId === undefined ? '' : ` (correlation id ${correlationId})`;
  return new BrokerCredentialError(
    `The token broker answered ${response.status} ${error ?? ''}: ${described}${trace}`,
    {
      status: response.status,
      error,
      code: textOf(body.code),
      correlationId,
      retryAfterSeconds: secondsOf(Number(response.headers.get('retry-after') ?? Number.NaN)),
      claims: typeof body.claims === 'string' ? body.claims : undefined,
    },
  );
}

async function send({ fetch, brokerUrl, callerToken, resource, scope, signal }: ExchangeInput) {
  const form = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: callerToken,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    resource,
    ...(scope === undefined ? {} : { scope }),
  });
  // The caller's token goes to the broker and to nobody whom it might name.
  const response = await fetch(`${brokerUrl}/oauth2/token`, { method: 'POST', body: form, redirect: 'error', signal });
  return { response, text: await response.text() };
}

/** An intermediary may repeat what was sent. */
const without = (secret: string, text: string): string => (secret === '' ? text : text.replaceAll(secret, '…'));

/**
 * One token exchange (RFC 8693) at the broker.
 *
 * @throws BrokerCredentialError where there is no token, with the broker's own text
 */
export async function exchangeToken(input: ExchangeInput): Promise<ExchangedToken> {
  const answer = await send(input).catch((error: unknown) => {
    const reason = without(input.callerToken, reasonOf(error));
    throw new BrokerCredentialError(`The token broker at ${input.brokerUrl} did not answer: ${reason}`);
  });
  const { response } = answer;
  const body = parse(without(input.callerToken, answer.text));
  if (!response.ok) throw refusalOf(response, body);
  const accessToken = body.access_token;
  const expiresInSeconds = secondsOf(body.expires_in);
  const isBearer = textOf(body.token_type)?.toLowerCase() === 'bearer';
  if (typeof accessToken !== 'string' || accessToken === '' || expiresInSeconds === undefined || !isBearer) {
    throw new BrokerCredentialError(
      `The answer of ${input.brokerUrl} holds no bearer token with a life. Check that brokerUrl is the token broker.`,
      { status: response.status },
    );
  }
  return { accessToken, expiresInSeconds, refreshInSeconds: secondsOf(body.refresh_in) };
}
