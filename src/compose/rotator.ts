import { randomBytes, randomUUID } from 'node:crypto';
import { addSeconds } from '../clock.ts';
import type { Policy } from '../config/policy.ts';
import { toRotations } from '../config/rotations.ts';
import { BrokerError } from '../errors.ts';
import { fetchedWorkspaces } from '../freshness/fetched-workspaces.ts';
import type { KeyPorts } from '../rotation/key-ports.ts';
import { createKeyRound } from '../rotation/key-round.ts';
import { createRotatorRound } from '../rotation/rotator-round.ts';
import { createRound, ROTATIONS_AT_ONCE } from '../rotation/round.ts';
import { createWriteBudget, GRAPH_WRITES, pausingWrites } from '../rotation/write-budget.ts';
import type { Context } from './context.ts';
import type { Own } from './identities.ts';
import { hourly, type Stores } from './stores.ts';

type RotatorRound = () => Promise<void>;

/**
 * The timer's round, by policy: rotation of secrets and endpoint keys, the sealing key, the audit tables. What Graph
 * allows is counted over all policies.
 */
export function buildRotator(
  context: Context,
  own: Own,
  stores: Stores,
): (policy: Policy, machineLearning: KeyPorts['machineLearning']) => RotatorRound {
  const { azure, settings, functionTimeoutSeconds, clock, log } = context;
  const { cloud, instanceDiscovery, rotationLookSeconds: lookSeconds } = settings;
  const { graphEndpoint: endpoint, graphScope: scope, authorityHost } = cloud;
  const budget = createWriteBudget({ clock, ...GRAPH_WRITES });
  const limits = {
    proofs: settings.proofCount,
    spreadSeconds: settings.proofSpreadSeconds,
    orphanGraceSeconds: 2 * functionTimeoutSeconds,
  };
  const ports = {
    applications: pausingWrites(azure.createGraph({ endpoint, scope, credential: own.credential }), budget, clock),
    vault: azure.createVault(own.vault),
    signIn: azure.createSignIn({ authorityHost, instanceDiscovery, scope }),
    records: stores.records.secrets,
  };
  const sealingKey = hourly(clock, () => keepSealingKey(context, own));
  // A round that is cut off by the host does no harm; one that ends by itself leaves no step half done.
  const until = () => addSeconds(clock(), 0.8 * functionTimeoutSeconds);

  return (policy, machineLearning) => {
    const rotations = toRotations(policy);
    const workspaces = fetchedWorkspaces(policy.workspaces);
    const rotateSecrets = createRound({
      ...{ rotations: rotations.secrets, ports, limits, budget },
      ...{ clock, log, newId: randomUUID, lookSeconds, atOnce: ROTATIONS_AT_ONCE },
    });
    const rotateKeys = createKeyRound({
      rotations: rotations.endpointKeys,
      ports: { machineLearning, records: stores.records.endpointKeys, workspaces },
      ...{ clock, log, newId: randomUUID, lookSeconds },
    });
    return createRotatorRound(
      {
        auditTables: stores.keepAuditTables,
        sealingKey,
        secrets: () => rotateSecrets(until()),
        endpointKeys: () => rotateKeys(until()),
      },
      log,
    );
  };
}

async function keepSealingKey({ azure, settings, clock, log }: Context, own: Own): Promise<void> {
  const kept = await azure.keepSealingKey({
    readSecret: own.readSecret,
    writeSecret: azure.createWriteSecret(own.vault),
    name: settings.tokenCacheKey,
    ...{ clock, log, random: randomBytes },
  });
  // A role or a network that is on its way: the next round tries again.
  if (kept === 'unreadable' || kept === 'forbidden') {
    throw new BrokerError('internal_error', { reason: `sealing key ${kept}` });
  }
}
