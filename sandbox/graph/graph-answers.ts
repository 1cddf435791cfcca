import type { Answer, Exchange, FaultBody } from '../http/service.ts';
import type { Random } from '../state/random.ts';

export interface GraphAnswerContext {
  clock: () => Date;
  random: Random;
}

const JSON_TYPE = 'application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8';
const DIAGNOSTIC = JSON.stringify({
  ServerInfo: { DataCenter: 'West Europe', Slice: 'E', Ring: '5', ScaleUnit: '001', RoleInstance: 'SANDBOX' },
});

/** Graph's own URL, as the caller named it. */
export function graphUrl(exchange: Exchange): string {
  return `https://${exchange.headers.host}`;
}

/** URL of the metadata that `@odata.context` points into, of the version that was called. */
export function metadataUrl(exchange: Exchange): string {
  return `${graphUrl(exchange)}/${exchange.path.split('/')[1]}/$metadata`;
}

/** A successful answer with body. `resourceUnits` is what the call costs of the throttling budget. */
export function graphAnswer(
  exchange: Exchange,
  answer: { status: number; json: unknown; resourceUnits?: number; headers?: Record<string, string> },
  context: GraphAnswerContext,
): Answer {
  return {
    status: answer.status,
    headers: {
      ...commonHeaders(exchange, context.random.id(), answer.resourceUnits ?? 1),
      'Content-Type': JSON_TYPE,
      'OData-Version': '4.0',
      Vary: 'Accept-Encoding',
      'x-ms-ags-diagnostic': DIAGNOSTIC,
      ...answer.headers,
    },
    json: answer.json,
  };
}

/** 204 without body. */
export function graphNoContent(exchange: Exchange, context: GraphAnswerContext): Answer {
  return { status: 204, headers: commonHeaders(exchange, context.random.id(), 1) };
}

/** A refusal in Graph's error shape. */
export function graphError(
  exchange: Exchange,
  error: { status: number; code: string; message: string; resourceUnits?: number },
  context: GraphAnswerContext,
): Answer {
  const requestId = context.random.id();
  return {
    status: error.status,
    headers: {
      ...commonHeaders(exchange, requestId, error.resourceUnits ?? 1),
      'Content-Type': 'application/json',
    },
    json: errorBody(error.code, error.message, requestId, clientRequestId(exchange) ?? requestId, context),
  };
}

/** Error body of a planned fault, in Graph's shape. */
export function graphFaultBody(context: GraphAnswerContext): FaultBody {
  return (status, code) => {
    const requestId = context.random.id();
    const usual = status === 429 ? 'TooManyRequests' : 'serviceNotAvailable';
    return errorBody(code ?? usual, 'A fault was planned for this call.', requestId, requestId, context);
  };
}

function errorBody(
  code: string,
  message: string,
  requestId: string,
  clientRequestId: string,
  { clock }: GraphAnswerContext,
) {
  const innerError = {
    date: clock().toISOString().slice(0, 19),
    'request-id': requestId,
    'client-request-id': clientRequestId,
  };
  return { error: { code, message, innerError } };
}

function commonHeaders(exchange: Exchange, requestId: string, resourceUnits: number): Record<string, string> {
  const echoed = clientRequestId(exchange);
  return {
    'Cache-Control': 'no-cache',
    'Strict-Transport-Security': 'max-age=31536000',
    'request-id': requestId,
    ...(echoed === undefined ? {} : { 'client-request-id': echoed }),
    'x-ms-resource-unit': String(resourceUnits),
  };
}

function clientRequestId(exchange: Exchange): string | undefined {
  const value = exchange.headers['client-request-id'];
  return typeof value === 'string' ? value : undefined;
}
