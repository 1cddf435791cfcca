import * as z from 'zod';
import type { Answer } from './answer.ts';
import type { CompareRules, Json } from './compare.ts';
import type { World } from './world.ts';

/** One answer of an example beside ours, and how to compare them. */
export interface Comparison {
  /** Tells the answers of one example apart; empty where there is only one. */
  readonly title: string;
  readonly expected: Answer;
  readonly actual: Answer;
  readonly rules: CompareRules;
}

/** How our answer to one example is obtained, or the reason why there is none. */
export type ExampleHandler =
  | { readonly compare: (example: Json, world: World) => Promise<Comparison[]> }
  | { readonly doesNotApply: string };

const answer = z.object({
  status: z.number(),
  headers: z.record(z.string(), z.string()).exactOptional(),
  body: z.json().exactOptional(),
  rawBody: z.string().exactOptional(),
});

const request = z.object({
  method: z.string(),
  url: z.string().exactOptional(),
  path: z.string().exactOptional(),
  headers: z.record(z.string(), z.string()).default({}),
  body: z.json().optional(),
});

const exchange = z.object({ request, response: answer });
export type RecordedExchange = z.infer<typeof exchange>;

/** The exchanges of a recorded, run or documented example: one, or a list under `entries`. */
export function readExchanges(example: Json): RecordedExchange[] {
  const entries = z.object({ entries: z.array(exchange) }).safeParse(example);
  return entries.success ? entries.data.entries : [exchange.parse(example)];
}

/** The only exchange of an example. */
export function readExchange(example: Json): RecordedExchange {
  const [only, ...rest] = readExchanges(example);
  if (only === undefined || rest.length > 0)
    throw new Error('This example should hold one exchange; correct its handler.');
  return only;
}

/** The answer of an example that need not show its request. */
export function readAnswer(example: Json): Answer {
  return z.object({ response: answer }).parse(example).response;
}

/** Path and query of the recorded request, to be asked of the sandbox. */
export function pathOf({ request: { url, path } }: RecordedExchange): string {
  if (path !== undefined) return path;
  if (url === undefined) throw new Error('This example names no URL; correct its handler.');
  return url.replace(/^https?:\/\/[^/]+/, '');
}

const swagger = z.object({ responses: z.record(z.string(), z.object({ body: z.json().exactOptional() })) });

/** The answer that a specification example shows for a status. */
export function readSwagger(example: Json, status: number): Answer {
  const response = swagger.parse(example).responses[`${status}`];
  if (response === undefined) throw new Error(`This example has no answer ${status}; correct its handler.`);
  return { status, ...response };
}
