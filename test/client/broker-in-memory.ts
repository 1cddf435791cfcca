import * as z from 'zod';
import { BrokerCredential, type BrokerCredentialOptions } from '../../client/broker-credential.ts';
import { createMovableClock } from '../support/clock.ts';

export const AML = 'https://ml.azure.com/.default';
export const ARM = 'https://management.azure.com/.default';
export const CALLER_TOKEN = 'caller-token-secret';

const formSchema = z.record(z.string(), z.string());

export interface SentRequest {
  url: string;
  form: Record<string, string>;
  redirect: string | undefined;
}

export interface BrokerInMemory {
  credential: BrokerCredential;
  clock: ReturnType<typeof createMovableClock>;
  /** What was sent to the token endpoint. */
  sent: SentRequest[];
  /** How often the caller's own token was asked for, with the claims asked for. */
  asked: (string | undefined)[];
  /** Answers the next requests; the default is a token that lives 3600 s and says to come back after 1800 s. */
  answer: (signal: AbortSignal) => Promise<Response>;
}

export const tokenAnswer = (more: Record<string, unknown> = {}): Response =>
  Response.json({ access_token: 'token', token_type: 'Bearer', expires_in: 3600, refresh_in: 1800, ...more });

/** A credential whose broker is a function: it numbers its tokens. */
export function createBrokerInMemory(options: Partial<BrokerCredentialOptions> = {}): BrokerInMemory {
  const clock = createMovableClock();
  const memory: Omit<BrokerInMemory, 'credential'> = {
    clock,
    sent: [],
    asked: [],
    answer: async () => tokenAnswer({ access_token: `token-${memory.sent.length}` }),
  };
  const credential = new BrokerCredential({
    brokerUrl: 'https://broker.test',
    workspace: 'prod',
    async caller({ claims }) {
      memory.asked.push(claims);
      return CALLER_TOKEN;
    },
    clock: clock.clock,
    async fetch(url, { body, redirect, signal } = {}) {
      if (!(body instanceof URLSearchParams) || !signal) throw new Error('The client sent no form or no signal.');
      memory.sent.push({ url: String(url), form: formSchema.parse(Object.fromEntries(body)), redirect });
      return memory.answer(signal);
    },
    ...options,
  });
  return Object.assign(memory, { credential });
}
