import * as z from 'zod';

export interface Reply {
  status: number;
  headers: Headers;
  /** Parsed JSON, undefined when there is none. */
  json: unknown;
}

interface RequestOptions {
  token?: string | undefined;
  /** Sent as JSON. */
  body?: object | undefined;
  headers?: Readonly<Record<string, string>> | undefined;
}

const problemSchema = z.object({ code: z.string() });

const REQUEST_MS = 10_000;

/** One request with a JSON answer. Throws a message for a person when nobody answers. */
export async function request(method: 'GET' | 'POST', url: string, options: RequestOptions = {}): Promise<Reply> {
  const { token, body } = options;
  const headers = new Headers({ accept: 'application/json', ...options.headers });
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
  return { status: response.status, headers: response.headers, json: parseJson(text) };
}

/** The JSON of an answer that has the status it should have; else an error with the status and, when there is one, the problem's code. */
export function expectStatus(status: number, reply: Reply): unknown {
  if (reply.status !== status) throw new Error(`expected status ${status}, got ${describeReply(reply)}`);
  return reply.json;
}

/** Throws unless the answer is this refusal, for example `403 not_granted`. */
export function expectRefusal(refusal: string, reply: Reply): void {
  const seen = describeReply(reply);
  if (seen !== refusal) throw new Error(`expected ${refusal}, got ${seen}`);
}

/** Status and problem code: all of an unexpected answer that can be shown, since a body might hold a token. */
function describeReply({ status, json }: Pick<Reply, 'status' | 'json'>): string {
  const problem = problemSchema.safeParse(json);
  return problem.success ? `${status} ${problem.data.code}` : `${status}`;
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
