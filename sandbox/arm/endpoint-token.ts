import { createHash, generateKeyPair, type KeyObject, sign } from 'node:crypto';
import { promisify } from 'node:util';
import type { ServiceCaller } from '../entra/service-token.ts';
import type { Endpoint } from './endpoint-store.ts';

/** Signs the tokens of online endpoints with a key of its own, which nobody publishes. */
export interface EndpointTokenSigner {
  /** A JWT (RS256); no two calls give the same one. */
  sign(endpoint: Endpoint, caller: ServiceCaller, expires: Date): Promise<string>;
}

/** Makes a signer with a new RSA key; the key is made in the background and awaited at the first use. */
export function createEndpointTokenSigner(): EndpointTokenSigner {
  const keyPair = promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  let count = 0;
  return {
    async sign(endpoint, caller, expires) {
      const { privateKey, publicKey } = await keyPair;
      const claims = permute(Object.entries(claimsOf(endpoint, caller, expires)), count);
      count += 1;
      const header = { alg: 'RS256', kid: thumbprint(publicKey), typ: 'JWT' };
      const content = [header, Object.fromEntries(claims)].map(toBase64url).join('.');
      return `${content}.${sign('sha256', Buffer.from(content), privateKey).toString('base64url')}`;
    },
  };
}

/** The claims of a recorded token: no `iat`, no `nbf`, `actions` a text that holds a JSON array. */
function claimsOf({ name, workspace }: Endpoint, caller: ServiceCaller, expires: Date): Record<string, unknown> {
  return {
    canRefresh: 'False',
    workspaceId: workspace.workspaceId,
    tid: caller.tid,
    oid: caller.oid,
    actions: JSON.stringify(['Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action']),
    endpointName: name,
    serviceId: name,
    exp: Math.floor(expires.getTime() / 1000),
    iss: 'azureml',
    aud: 'azureml',
  };
}

/**
 * The permutation with this number. The claims hold nothing that tells two tokens of the same second apart, and the
 * signature is deterministic: the order of the claims, which means nothing, does.
 */
function permute<Item>(items: readonly Item[], number: number): Item[] {
  const left = [...items];
  let rest = number;
  return items.flatMap(() => {
    const index = rest % left.length;
    rest = Math.floor(rest / left.length);
    return left.splice(index, 1);
  });
}

/** SHA-1 in upper-case hex, as key ids of this service look. */
function thumbprint(publicKey: KeyObject): string {
  const der = publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha1').update(der).digest('hex').toUpperCase();
}

function toBase64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
