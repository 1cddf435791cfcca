import type { Answer, Exchange, FaultBody } from '../http/service.ts';

/** An error as Key Vault words it. `inner` is the code that tells one 403 or 409 from another. */
export function vaultError(status: number, code: string, message: string, inner?: string): Answer {
  return {
    status,
    json: { error: { code, message, ...(inner === undefined ? {} : { innererror: { code: inner } }) } },
  };
}

const codeOfStatus: Readonly<Record<number, string>> = {
  400: 'BadParameter',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'SecretNotFound',
  409: 'Conflict',
  429: 'Throttled',
};

/** The body of a refusal that a test planned, in Key Vault's shape. */
export const faultBody: FaultBody = (status, code = codeOfStatus[status] ?? 'InternalServerError') => ({
  error: { code, message: `Planned fault with status ${status}.` },
});

export function secretNotFound(nameOrId: string): Answer {
  const message = `A secret with (name/id) ${nameOrId} was not found in this key vault. If you recently deleted this secret you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182`;
  return vaultError(404, 'SecretNotFound', message);
}

export function deletedSecretNotFound(name: string): Answer {
  return vaultError(404, 'SecretNotFound', `Deleted Secret not found: ${name}`);
}

export function secretDisabled(): Answer {
  return vaultError(403, 'Forbidden', 'Operation get is not allowed on a disabled secret.', 'SecretDisabled');
}

export function nameHeldByDeleted(name: string): Answer {
  const message = `Secret ${name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the secret can only be recovered or purged.`;
  return vaultError(409, 'Conflict', message, 'ObjectIsDeletedButRecoverable');
}

export function beingDeleted(name: string): Answer {
  const message = `Secret ${name} is currently being deleted and cannot be used or recreated; retry when the deletion is complete.`;
  return vaultError(409, 'Conflict', message, 'ObjectIsBeingDeleted');
}

export function beingRecovered(name: string): Answer {
  const message = `Secret ${name} is currently being recovered; retry when the recovery is complete.`;
  return vaultError(409, 'Conflict', message, 'ObjectIsBeingRecovered');
}

/** What a caller without a role assignment reads. */
export function forbiddenByRbac(input: {
  caller: { appid: string; oid: string; tid: string };
  action: string;
  resource: string;
  vault: string;
  region: string;
}): Answer {
  const { caller, action, resource, vault, region } = input;
  const lines = [
    'Caller is not authorized to perform action on resource.',
    'If role assignments, deny assignments or role definitions were changed recently, please observe propagation time.',
    `Caller: appid=${caller.appid};oid=${caller.oid};iss=https://sts.windows.net/${caller.tid}/`,
    `Action: '${action}'`,
    `Resource: '${resource}'`,
    'Assignment: (not found)',
    'DenyAssignmentId: null',
    'DecisionReason: null ',
    `Vault: ${vault};location=${region}`,
    '',
  ];
  return vaultError(403, 'Forbidden', lines.join('\r\n'), 'ForbiddenByRbac');
}

/** Adds the headers that every answer of the vault carries; the assignment's id only for an authenticated caller. */
export function withVaultHeaders(
  answer: Answer,
  exchange: Exchange,
  context: { region: string; requestId: string; assignmentId?: string | undefined },
): Answer {
  const clientRequestId = exchange.headers['x-ms-client-request-id'];
  const headers: Record<string, string> = {
    'Cache-Control': 'no-cache',
    Pragma: 'no-cache',
    Expires: '-1',
    'Strict-Transport-Security': 'max-age=31536000;includeSubDomains',
    'X-Content-Type-Options': 'nosniff',
    ...(typeof clientRequestId === 'string' ? { 'x-ms-client-request-id': clientRequestId } : {}),
    'x-ms-keyvault-network-info': 'conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;',
    ...(context.assignmentId === undefined ? {} : { 'x-ms-keyvault-rbac-assignment-id': context.assignmentId }),
    'x-ms-keyvault-region': context.region,
    'x-ms-keyvault-service-version': '1.9.3070.2',
    'x-ms-request-id': context.requestId,
  };
  return { ...answer, headers: { ...headers, ...answer.headers } };
}
