import type { PolicyDocument } from './policy-schema.ts';

/** A service principal's secret and its schedule; the name is the Key Vault secret's. */
export interface SecretRotation {
  name: string;
  tenantId: string;
  clientId: string;
  /** Object id of the application in Graph. */
  application: string;
  rotateEverySeconds: number;
  lifetimeSeconds: number;
  overlapSeconds: number;
}

/** An endpoint whose two keys are rotated by turns. */
export interface EndpointKeyRotation {
  name: string;
  /** The workspace's name in the policy. */
  workspace: string;
  /** Lower case, as Resource Manager compares it. */
  endpoint: string;
  rotateEverySeconds: number;
  overlapSeconds: number;
}

/** What the policy has rotated, by kind and in the policy's order. */
export function toRotations({ rotations }: Pick<PolicyDocument, 'rotations'>): {
  secrets: SecretRotation[];
  endpointKeys: EndpointKeyRotation[];
} {
  const secrets: SecretRotation[] = [];
  const endpointKeys: EndpointKeyRotation[] = [];
  for (const [name, entry] of Object.entries(rotations)) {
    const times = { rotateEverySeconds: entry.rotateEvery, overlapSeconds: entry.overlap };
    if ('endpointKeys' in entry) {
      const [workspace = '', endpoint = ''] = entry.endpointKeys.split('/');
      endpointKeys.push({ name, workspace, endpoint: endpoint.toLowerCase(), ...times });
    } else {
      const { tenantId, clientId, application, lifetime } = entry;
      secrets.push({ name, tenantId, clientId, application, lifetimeSeconds: lifetime, ...times });
    }
  }
  return { secrets, endpointKeys };
}
