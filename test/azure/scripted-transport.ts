import { createHttpHeaders, type HttpClient } from '@azure/core-rest-pipeline';

/** An answer of a service. */
export interface Scripted {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
}

/** A transport without a network: the SDKs above it are the real ones. */
export function answering(answer: (url: string) => Scripted): HttpClient & { sent: string[] } {
  const sent: string[] = [];
  return {
    sent,
    async sendRequest(request) {
      sent.push(`${request.method} ${request.url}`);
      const { status, body, headers } = answer(request.url);
      return {
        request,
        status,
        headers: createHttpHeaders({ 'content-type': 'application/json', ...headers }),
        bodyAsText: typeof body === 'string' ? body : JSON.stringify(body ?? {}),
      };
    },
  };
}
