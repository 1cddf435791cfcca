import type { Answer } from '../http/service.ts';

const codeOfStatus: Readonly<Record<number, string>> = {
  401: 'InvalidAuthenticationInfo',
  403: 'AuthorizationPermissionMismatch',
  404: 'BlobNotFound',
  412: 'ConditionNotMet',
  503: 'ServerBusy',
};

/**
 * An error of Blob Storage: XML, where Table Storage answers with JSON.
 *
 * Source: https://learn.microsoft.com/rest/api/storageservices/status-and-error-codes2
 */
export function blobError(status: number, code: string, message: string): Answer {
  return {
    status,
    headers: { 'x-ms-error-code': code, 'Content-Type': 'application/xml' },
    text: `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`,
  };
}

/** A refusal that a test planned. */
export const plannedBlobError = (status: number, code = codeOfStatus[status] ?? 'InternalError'): Answer =>
  blobError(status, code, `Planned fault with status ${status}.`);
