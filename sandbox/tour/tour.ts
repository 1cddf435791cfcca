import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import tls from 'node:tls';
import * as z from 'zod';
import { TRAINER } from '../seed.ts';
import { type Consumer, createConsumer } from './consumer.ts';
import { expectStatus, type Reply, request } from './request.ts';
import type { KeyInHand, RotationInHand } from './rotation-in-hand.ts';

const endpointsSchema = z.object({
  broker: z.url(),
  // Absent while the broker runs under Core Tools, which serve plain HTTP.
  brokerTls: z.url().optional(),
  entra: z.url(),
  managedIdentity: z.url(),
  keyVault: z.url(),
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

const callsSchema = z.array(
  z.object({ service: z.string(), method: z.string(), path: z.string(), status: z.number() }),
);
const passwordSchema = z.object({ keyId: z.string(), displayName: z.string().nullable() });
const stateSchema = z.object({
  applications: z.array(z.object({ id: z.string(), passwords: z.array(passwordSchema) })),
});

/** A call that Azure's services got. */
type Call = z.infer<typeof callsSchema>[number];

/** What the steps share: the running system, and the tokens that one step hands to the next. */
export interface Tour {
  armUrl: string;
  callerToken?: string;
  endpointToken?: EndpointToken;
  workspaceToken?: string;
  rotation?: RotationInHand;
  endpointKey?: KeyInHand;
  /** Uses the rotated secret as a program beside the broker does. */
  consumer: Consumer;
  /** A caller's token from the sandbox; `{}` is the caller whom the sandbox's policy serves. */
  newCaller(who: object): Promise<string>;
  /** Asks the broker. */
  ask(
    method: 'GET' | 'POST',
    path: string,
    callerToken: string,
    body?: object,
    headers?: Record<string, string>,
  ): Promise<Reply>;
  /** Asks the broker for the token of the endpoint fraud-aml; throws when it gives none. */
  endpointTokenFor(callerToken: string): Promise<EndpointToken>;
  /** Sends rows to be scored, with an endpoint's token or key. */
  score(scoringUri: string, credential: string): Promise<Reply>;
  /** Any other service, with a bearer token. */
  get(url: string, token: string): Promise<Reply>;
  /** How many tokens of the endpoint fraud-aml were asked of Azure so far. */
  countTokenCalls(): Promise<number>;
  /** How many calls of Azure so far fit. */
  countCalls(fits: (call: Call) => boolean): Promise<number>;
  /** The passwords of the application `trainer` as they are, before any replica knows. */
  listPasswords(): Promise<z.infer<typeof passwordSchema>[]>;
}

/** Finds the running system by its endpoints file and trusts its CA. Throws a message for a person when nothing runs. */
export function openTour(endpointsFile: string): Tour {
  if (!existsSync(endpointsFile)) {
    throw new Error(
      `Nothing is running: ${endpointsFile} does not exist. Start the broker in another terminal: npm start`,
    );
  }
  const urls = endpointsSchema.parse(JSON.parse(readFileSync(endpointsFile, 'utf8')));
  const { broker, brokerTls, arm, control } = urls;
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), readFileSync(urls.caCertificate, 'utf8')]);
  const brokerUrl = brokerTls ?? broker;

  const ask: Tour['ask'] = (method, path, token, body, headers) =>
    request(method, `${brokerUrl}${path}`, { token, body, headers });
  const countCalls: Tour['countCalls'] = async (fits) =>
    callsSchema.parse(expectStatus(200, await request('GET', `${control}/calls`))).filter(fits).length;
  return {
    armUrl: arm,
    consumer: createConsumer(urls),
    ask,
    async newCaller(who) {
      const { token } = z
        .object({ token: z.string() })
        .parse(expectStatus(200, await request('POST', `${control}/callers`, { body: who })));
      return token;
    },
    async endpointTokenFor(callerToken) {
      const askedAt = new Date();
      const reply = await ask('POST', '/workspaces/prod/endpoints/fraud-aml/token', callerToken, {});
      return { ...endpointTokenSchema.parse(expectStatus(200, reply)), askedAt };
    },
    score: (scoringUri, token) =>
      request('POST', scoringUri, { token, body: { data: [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]] } }),
    get: (url, token) => request('GET', url, { token }),
    countTokenCalls: () =>
      countCalls(
        ({ method, path }) => method === 'POST' && path.toLowerCase().endsWith('/onlineendpoints/fraud-aml/token'),
      ),
    countCalls,
    async listPasswords() {
      const { applications } = stateSchema.parse(expectStatus(200, await request('GET', `${control}/state`)));
      return applications.find(({ id }) => id === TRAINER.objectId)?.passwords ?? [];
    },
  };
}

/** Enough of a token's SHA-256 to tell two tokens apart, and no use to anyone else. */
export function fingerprint(token: string): string {
  return createHash('sha256').update(token).digest('hex').slice(0, 12);
}

/** The token of the caller whom the policy serves; the first step takes it. */
export function callerTokenOf({ callerToken }: Tour): string {
  if (callerToken === undefined) throw new Error('there is no caller token to ask with');
  return callerToken;
}
