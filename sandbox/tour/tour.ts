import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import tls from 'node:tls';
import * as z from 'zod';

const endpointsSchema = z.object({
  broker: z.url(),
  // Absent while the broker runs under Core Tools, which serve plain HTTP.
  brokerTls: z.url().optional(),
  arm: z.url(),
  control: z.url(),
  caCertificate: z.string(),
});

const endpointTokenSchema = z.object({
  accessToken: z.string().min(1),
  expiresOn: z.coerce.date(),
  refreshBy: z.coerce.date(),
  scoringUri: z.url(),
  authMode: z.literal('aml_token'),
  stale: z.boolean(),
});

/** An endpoint token as the broker handed it out. */
export type EndpointToken = z.infer<typeof endpointTokenSchema> & {
  /** When it was asked for: the answer was made after this. */
  askedAt: Date;
};

const callsSchema = z.array(z.object({ service: z.string(), method: z.string(), path: z.string() }));
const problemSchema = z.object({ code: z.string() });

export interface Reply {
  status: number;
  /** Parsed JSON, undefined when there is none. */
  json: unknown;
}

/** What the steps share: the running system, and the tokens that one step hands to the next. */
export interface Tour {
  armUrl: string;
  callerToken?: string;
  endpointToken?: EndpointToken;
  workspaceToken?: string;
  /** A caller's token from the sandbox; `{}` is the caller whom the sandbox's policy serves. */
  newCaller(who: object): Promise<string>;
  /** Asks the broker. */
  ask(method: 'GET' | 'POST', path: string, callerToken: string, body?: object): Promise<Reply>;
  /** Asks the broker for the token of the endpoint fraud-aml; throws when it gives none. */
  endpointTokenFor(callerToken: string): Promise<EndpointToken>;
  /** Sends rows to be scored, with a token. */
  score(token: EndpointToken): Promise<Reply>;
  /** Any other service, with a bearer token. */
  get(url: string, token: string): Promise<Reply>;
  /** How many tokens of the endpoint fraud-aml were asked of Azure so far. */
  countTokenCalls(): Promise<number>;
}

const REQUEST_MS = 10_000;

/** Finds the running system by its endpoints file and trusts its CA. Throws a message for a person when nothing runs. */
export function openTour(endpointsFile: string): Tour {
  if (!existsSync(endpointsFile)) {
    throw new Error(
      `Nothing is running: ${endpointsFile} does not exist. Start the broker in another terminal: npm start`,
    );
  }
  const { broker, brokerTls, arm, control, caCertificate } = endpointsSchema.parse(
    JSON.parse(readFileSync(endpointsFile, 'utf8')),
  );
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), readFileSync(caCertificate, 'utf8')]);
  const brokerUrl = brokerTls ?? broker;

  const ask: Tour['ask'] = (method, path, callerToken, body) =>
    request(method, `${brokerUrl}${path}`, callerToken, body);
  return {
    armUrl: arm,
    ask,
    async newCaller(who) {
      const { token } = z
        .object({ token: z.string() })
        .parse(expectStatus(200, await request('POST', `${control}/callers`, undefined, who)));
      return token;
    },
    async endpointTokenFor(callerToken) {
      const askedAt = new Date();
      const reply = await ask('POST', '/workspaces/prod/endpoints/fraud-aml/token', callerToken, {});
      return { ...endpointTokenSchema.parse(expectStatus(200, reply)), askedAt };
    },
    score: ({ scoringUri, accessToken }) =>
      request('POST', scoringUri, accessToken, { data: [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]] }),
    get: (url, token) => request('GET', url, token),
    async countTokenCalls() {
      const calls = callsSchema.parse(expectStatus(200, await request('GET', `${control}/calls`)));
      const isTokenCall = ({ method, path }: { method: string; path: string }) =>
        method === 'POST' && path.toLowerCase().endsWith('/onlineendpoints/fraud-aml/token');
      return calls.filter(isTokenCall).length;
    },
  };
}

/** The JSON of an answer that has the status it should have; else an error with the status and, when there is one, the problem's code. */
export function expectStatus(status: number, reply: Reply): unknown {
  if (reply.status !== status) throw new Error(`expected status ${status}, got ${describeReply(reply)}`);
  return reply.json;
}

/** Status and problem code: all of an unexpected answer that can be shown, since a body might hold a token. */
export function describeReply({ status, json }: Reply): string {
  const problem = problemSchema.safeParse(json);
  return problem.success ? `${status} ${problem.data.code}` : `${status}`;
}

/** Enough of a token's SHA-256 to tell two tokens apart, and no use to anyone else. */
export function fingerprint(token: string): string {
  return createHash('sha256').update(token).digest('hex').slice(0, 12);
}

async function request(method: 'GET' | 'POST', url: string, token?: string, body?: object): Promise<Reply> {
  const headers = new Headers({ accept: 'application/json' });
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
  if (body !== undefined) headers.set('content-type', 'application/json');
  const init = {
    method,
    headers,
    signal: AbortSignal.timeout(REQUEST_MS),
    ...(body && { body: JSON.stringify(body) }),
  };
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, init);
    text = await response.text();
  } catch (error) {
    const reason = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    throw new Error(`${new URL(url).origin} cannot be reached (${reason}). Is npm start still running?`);
  }
  return { status: response.status, json: parseJson(text) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
