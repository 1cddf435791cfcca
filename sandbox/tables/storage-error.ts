import type { Answer, FaultBody } from '../http/service.ts';

/**
 * An error of Table Storage in JSON.
 *
 * Source: https://learn.microsoft.com/rest/api/storageservices/status-and-error-codes2
 */
export function storageError(status: number, code: string, message: string): Answer {
  return { status, headers: { 'x-ms-error-code': code }, json: bodyOf(code, message) };
}

const codeOfStatus: Readonly<Record<number, string>> = {
  401: 'InvalidAuthenticationInfo',
  403: 'AuthorizationFailure',
  404: 'ResourceNotFound',
  409: 'EntityAlreadyExists',
  412: 'UpdateConditionNotSatisfied',
  503: 'ServerBusy',
};

/** The body of a refusal that a test planned, in storage's shape. */
export const faultBody: FaultBody = (status, code = codeOfStatus[status] ?? 'InternalError') =>
  bodyOf(code, `Planned fault with status ${status}.`);

function bodyOf(code: string, message: string): unknown {
  return { 'odata.error': { code, message: { lang: 'en-US', value: message } } };
}
