import type { AccessToken, GetTokenOptions, TokenCredential } from '@azure/core-auth';
import { BrokerCredentialError } from './broker-credential-error.ts';
import { type ExchangedToken, exchangeToken } from './exchange-token.ts';
import { createSharedFlights, throwIfAborted } from './shared-flight.ts';

export { BrokerCredentialError, type BrokerRefusal } from './broker-credential-error.ts';

/** Gives the caller's own token for the broker, fresh enough to be sent now. */
export type GetCallerToken = (options: { abortSignal: AbortSignal; claims?: string }) => Promise<string>;

export interface BrokerCredentialOptions {
  /** Where the broker is, as its `PUBLIC_URL` says: https, or http on this machine. */
  brokerUrl: string;
  /** The workspace's name in the broker's policy. */
  workspace: string;
  /** An online endpoint of the workspace: then the credential gives this endpoint's own token. */
  endpoint?: string;
  /**
   * Who asks: a credential of the caller, or a function that gives the caller's token. One caller for each
   * BrokerCredential: a token that was obtained for one user is kept for the next call.
   */
  caller: TokenCredential | GetCallerToken;
  /** The broker's API, as `api://<appId>`: needed where `caller` is a credential. */
  audience?: string;
  /** How long one answer of the broker may take, in milliseconds; 10000 unless told. */
  timeoutMs?: number;
  fetch?: typeof globalThis.fetch;
  clock?: () => Date;
}

interface Kept {
  token: Required<Pick<AccessToken, 'token' | 'expiresOnTimestamp' | 'refreshAfterTimestamp'>>;
  /** No renewal before this, in milliseconds since 1970. */
  renewAt: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;
/** How long a token in hand is used after a renewal failed, unless the broker says when to try again. */
const PAUSE_SECONDS = 30;
const LOOPBACK: readonly string[] = ['localhost', '127.0.0.1', '[::1]'];

/** The broker's address without its trailing slash. */
function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && LOOPBACK.includes(url.hostname));
  if (isSafe && url?.username === '' && url.search === '' && url.hash === '') return text.replace(/\/+$/, '');
  throw new TypeError(
    'brokerUrl must be an https URL without user, query and fragment, as the PUBLIC_URL of the broker.',
  );
}

function readCaller({ caller, audience }: BrokerCredentialOptions): GetCallerToken {
  if (typeof caller === 'function') return caller;
  if (audience === undefined) {
    throw new TypeError(
      'audience is missing: with a credential as caller, name the API of the broker (api://<appId>).',
    );
  }
  return async (options) => {
    const token = await caller.getToken(`${audience}/.default`, options);
    if (token !== null) return token.token;
    throw new BrokerCredentialError('The credential of the caller gave no token. Sign in, or choose another one.');
  };
}

/**
 * A `TokenCredential` whose tokens come from the token broker, by token exchange (RFC 8693). Any client of the Azure SDKs
 * takes it.
 *
 * A token is kept until the broker's `refresh_in` has passed; concurrent calls share one request. While a renewal fails,
 * the token in hand is given as long as it is valid. `tenantId` and the other options of `getToken` mean nothing here.
 */
export class BrokerCredential implements TokenCredential {
  /** What the tokens are for, in the broker's words (RFC 8707). */
  readonly resource: string;
  readonly #brokerUrl: string;
  readonly #isEndpoint: boolean;
  readonly #getCallerToken: GetCallerToken;
  readonly #timeoutMs: number;
  readonly #fetch: typeof globalThis.fetch;
  readonly #clock: () => Date;
  readonly #kept = new Map<string, Kept>();
  readonly #flights = createSharedFlights<Kept>();

  /** @throws TypeError where an option is missing or malformed */
  constructor(options: BrokerCredentialOptions) {
    this.#brokerUrl = checkUrl(options.brokerUrl);
    const { workspace, endpoint } = options;
    this.#isEndpoint = endpoint !== undefined;
    this.resource = `${this.#brokerUrl}/workspaces/${workspace}${endpoint === undefined ? '' : `/endpoints/${endpoint}`}`;
    this.#getCallerToken = readCaller(options);
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#fetch = options.fetch ?? globalThis.fetch;
    this.#clock = options.clock ?? (() => new Date());
  }

  /**
   * @param scopes For a workspace exactly one: `https://ml.azure.com/.default` or `https://management.azure.com/.default`
   *   (your cloud's). For an endpoint its `resource`, or none.
   * @param options `abortSignal` ends the wait; `claims` (from a BrokerCredentialError, or a challenge of Azure) are handed to
   *   the caller's credential, and the token in hand is not used.
   * @throws BrokerCredentialError with the broker's error text; what the caller's own credential throws; AbortError
   */
  async getToken(scopes: string | string[], options: GetTokenOptions = {}): Promise<AccessToken> {
    const { abortSignal, claims } = options;
    throwIfAborted(abortSignal);
    const scope = this.#readScope(scopes);
    const key = scope ?? this.resource;
    const kept = this.#kept.get(key);
    const now = this.#clock().getTime();
    const valid = kept !== undefined && claims === undefined && now < kept.token.expiresOnTimestamp ? kept : undefined;
    if (valid !== undefined && now < valid.renewAt) return { ...valid.token, tokenType: 'Bearer' };
    const renew = (signal: AbortSignal) => this.#renew(key, scope, valid, claims, signal);
    const { token } = await this.#flights(JSON.stringify([key, claims]), abortSignal, renew);
    return { ...token, tokenType: 'Bearer' };
  }

  #readScope(scopes: string | string[]): string | undefined {
    const [scope, ...more] = typeof scopes === 'string' ? [scopes] : scopes;
    // A client of Resource Manager must not get, and send there, the token of an endpoint.
    const fits = this.#isEndpoint ? scope === undefined || scope === this.resource : scope !== undefined;
    if (fits && more.length === 0) return this.#isEndpoint ? undefined : scope;
    throw new TypeError(
      this.#isEndpoint
        ? `This credential is for an endpoint: ask for its resource (${this.resource}) or for no scope.`
        : 'Ask for exactly one scope, for example https://ml.azure.com/.default.',
    );
  }

  async #renew(
    key: string,
    scope: string | undefined,
    valid: Kept | undefined,
    claims: string | undefined,
    signal: AbortSignal,
  ) {
    try {
      const begun = this.#clock().getTime();
      const kept = toKept(await this.#exchange(scope, claims, signal), begun);
      this.#kept.set(key, kept);
      return kept;
    } catch (error) {
      const now = this.#clock().getTime();
      if (valid === undefined || signal.aborted || now >= valid.token.expiresOnTimestamp) throw error;
      const told = error instanceof BrokerCredentialError ? error.retryAfterSeconds : undefined;
      const renewAt = now + (told ?? PAUSE_SECONDS) * 1000;
      const refreshAfterTimestamp = Math.min(renewAt, valid.token.expiresOnTimestamp);
      const kept = { token: { ...valid.token, refreshAfterTimestamp }, renewAt };
      this.#kept.set(key, kept);
      return kept;
    }
  }

  async #exchange(scope: string | undefined, claims: string | undefined, signal: AbortSignal) {
    const callerToken = await this.#getCallerToken({
      abortSignal: signal,
      ...(claims === undefined ? {} : { claims }),
    });
    return exchangeToken({
      fetch: this.#fetch,
      brokerUrl: this.#brokerUrl,
      callerToken,
      resource: this.resource,
      scope,
      // Only the broker's answer: a person who signs in may take longer.
      signal: AbortSignal.any([signal, AbortSignal.timeout(this.#timeoutMs)]),
    });
  }
}

/** Counted from before the request, so that a slow answer makes no token seem to live longer. */
function toKept({ accessToken, expiresInSeconds, refreshInSeconds }: ExchangedToken, begun: number): Kept {
  const expiresOnTimestamp = begun + expiresInSeconds * 1000;
  const refreshAfterTimestamp = begun + Math.min(refreshInSeconds ?? expiresInSeconds / 2, expiresInSeconds) * 1000;
  return { token: { token: accessToken, expiresOnTimestamp, refreshAfterTimestamp }, renewAt: refreshAfterTimestamp };
}
