import { createEntra } from '../in-memory/entra.ts';
import { createGraph } from '../in-memory/graph.ts';
import { createKeyVault } from '../in-memory/key-vault.ts';
import { createRandom } from '../in-memory/random.ts';
import { createRecords } from '../in-memory/records.ts';
import { createVirtualTime, type VirtualTime } from '../in-memory/virtual-time.ts';
import { describeApplicationsContract } from './applications.ts';
import { describeRecordsContract } from './records.ts';
import { describeSignInContract } from './sign-in.ts';
import { describeVaultContract } from './vault.ts';

/** The ports that the crash matrix runs on keep the same promises as the real ones. */

const START = new Date('2026-11-22T10:00:00.000Z');
const LAG_SECONDS = 5;
const PROPAGATION_SECONDS = 30;
const ids = { objectId: 'object-id', appId: 'app-id' };

/** Lets a virtual clock move on by so much, with everything that is planned until then. */
async function pass(time: VirtualTime, seconds: number): Promise<void> {
  let over = false;
  void time.sleep(seconds * 1000).then(() => {
    over = true;
  });
  await time.run(
    () => {},
    () => over,
  );
}

function startDirectory() {
  const time = createVirtualTime(START);
  const random = createRandom(1);
  const entra = createEntra(time, random, { propagationSeconds: PROPAGATION_SECONDS });
  const graph = createGraph(time.clock, random, entra, {
    ...ids,
    lagSeconds: LAG_SECONDS,
    onAdded: () => {},
    onRemoved: () => {},
  });
  return { time, entra, graph };
}

describeVaultContract('Key Vault in memory', async () => {
  const { clock } = createVirtualTime(START);
  const vault = createKeyVault(clock, { clockSkewSeconds: 0 });
  return {
    vault,
    clock,
    set: async (name, value) => vault.writeByHand(name, value),
    disable: async (name) => vault.disable(name),
    remove: async (name) => vault.remove(name),
  };
});

describeRecordsContract('the store in memory', async () => {
  const records = createRecords();
  return { records, others: records, lose: async (rotation) => records.lose(rotation) };
});

describeApplicationsContract('Graph in memory', async () => {
  const { time, graph } = startDirectory();
  return {
    applications: graph,
    ...ids,
    unknownObjectId: 'unknown-object-id',
    clock: time.clock,
    settle: () => pass(time, LAG_SECONDS + 1),
  };
});

describeSignInContract('Entra in memory', async () => {
  const { time, entra, graph } = startDirectory();
  return {
    signIn: async (_principal, text) => entra.signIn(text),
    principal: { tenantId: 'tenant-id', clientId: ids.appId },
    async make(lifetimeSeconds) {
      const endsOn = new Date(time.clock().getTime() + lifetimeSeconds * 1000);
      const answer = await graph.addPassword(ids.objectId, { displayName: 'contract', endsOn });
      if (typeof answer === 'string') throw new Error(`addPassword was refused: ${answer}.`);
      return { keyId: answer.made.keyId, text: answer.secretText };
    },
    remove: (keyId) => graph.removePassword(ids.objectId, keyId),
    advance: (seconds) => pass(time, seconds),
    propagationSeconds: PROPAGATION_SECONDS,
  };
});
