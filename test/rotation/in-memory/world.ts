import type { Password, Rotation } from '../../../src/rotation/facts.ts';
import type { RotationPorts } from '../../../src/rotation/ports.ts';
import { createEntra, type Entra } from './entra.ts';
import { createGraph, type Graph } from './graph.ts';
import { createKeyVault, type KeyVault } from './key-vault.ts';
import type { Random } from './random.ts';
import { createRecords, type MemoryRecords } from './records.ts';
import type { VirtualTime } from './virtual-time.ts';

export interface WorldOptions {
  time: VirtualTime;
  random: Random;
  rotation: Rotation;
  /** Until every replica of Entra has learned of a change. */
  propagationSeconds: number;
  /** How far reads of Graph may lag its writes. */
  graphLagSeconds: number;
  vaultClockSkewSeconds: number;
  onAdded: (password: Password) => void;
  onRemoved: (password: Password) => void;
}

/** Everything that a rotation touches, on one virtual clock. */
export interface World {
  time: VirtualTime;
  entra: Entra;
  graph: Graph;
  vault: KeyVault;
  records: MemoryRecords;
  /** The world as rotation sees it: the effect of a call is at once. */
  ports: RotationPorts;
}

export function createWorld(options: WorldOptions): World {
  const { random, rotation, time } = options;
  const entra = createEntra(time, random, options);
  const graph = createGraph(time.clock, random, entra, {
    objectId: rotation.application,
    appId: rotation.clientId,
    lagSeconds: options.graphLagSeconds,
    onAdded: options.onAdded,
    onRemoved: options.onRemoved,
  });
  const vault = createKeyVault(time.clock, { clockSkewSeconds: options.vaultClockSkewSeconds });
  const records = createRecords();
  const ports: RotationPorts = {
    applications: graph,
    vault,
    records,
    signIn: async (_principal, text) => entra.signIn(text),
  };
  return { time, entra, graph, vault, records, ports };
}
