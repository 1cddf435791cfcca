import type { Answer, FaultBody } from '../http/service.ts';
import { REGION } from '../seed.ts';
import type { Random } from '../state/random.ts';
import { toAzureInstant } from './azure-instant.ts';

/** An error that ARM itself answers, before the resource provider sees the call. */
export function gatewayError(
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
): Answer {
  return { status, headers: { 'x-ms-failure-cause': 'gateway', ...headers }, json: { error: { code, message } } };
}

/** The body of a refusal that a test planned, in ARM's shape. */
export const faultBody: FaultBody = (status, code = codeOfStatus[status] ?? 'InternalServerError') => ({
  error: { code, message: `Planned fault with status ${status}.` },
});

const codeOfStatus: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'InvalidAuthenticationToken',
  403: 'AuthorizationFailed',
  404: 'ResourceNotFound',
  409: 'Conflict',
  429: 'TooManyRequests',
  503: 'ServiceUnavailable',
};

export interface ProviderErrorInput {
  status: number;
  message: string;
  /** From the outer code to the innermost: the last one is the one that tells. */
  codes: readonly [string, ...string[]];
  now: Date;
  random: Random;
}

/** An error that the Machine Learning resource provider answers: another envelope, with the useful code innermost. */
export function providerError({ status, message, codes: [code, ...inner], now, random }: ProviderErrorInput): Answer {
  const innerError = inner.reduceRight<unknown>((nested, one) => ({ code: one, innerError: nested }), null);
  return {
    status,
    json: {
      error: {
        code,
        severity: null,
        message,
        messageFormat: message,
        messageParameters: {},
        referenceCode: null,
        detailsUri: null,
        target: null,
        details: [],
        innerError,
        debugInfo: null,
        additionalInfo: null,
      },
      correlation: { operation: random.bytes(16).toString('hex'), request: random.bytes(8).toString('hex') },
      environment: REGION,
      location: REGION,
      time: toAzureInstant(now, 0, '+00:00'),
      componentName: 'managementfrontend',
      statusCode: status,
    },
  };
}
