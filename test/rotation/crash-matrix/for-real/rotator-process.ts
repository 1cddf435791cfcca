import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { managedIdentityCredential } from '../../../../src/azure/credentials.ts';
import { createGraph } from '../../../../src/azure/graph.ts';
import { createVault } from '../../../../src/azure/rotated-secrets.ts';
import { createRecords } from '../../../../src/azure/rotation-records.ts';
import { createSignIn } from '../../../../src/azure/sign-in.ts';
import { createTables } from '../../../../src/azure/tables.ts';
import { addSeconds } from '../../../../src/clock.ts';
import { UpstreamError } from '../../../../src/errors.ts';
import type { Log } from '../../../../src/log.ts';
import type { RotationPorts } from '../../../../src/rotation/ports.ts';
import { rotate } from '../../../../src/rotation/rotate.ts';
import { createWriteBudget, GRAPH_WRITES } from '../../../../src/rotation/write-budget.ts';
import { type AroundCalls, aroundCalls } from '../around-calls.ts';
import { type RotatorMessage, type RotatorOptions, rotatorOptionsSchema, type StopAt } from './messages.ts';

/**
 * A rotator in a process of its own, to be killed: the real loop on the real adapters. It goes on until then, and ends
 * with its parent. Argument: RotatorOptions as JSON.
 */

const LOOK_EVERY_MS = 400;
const ROUND_SECONDS = 50;
const SCOPE = 'https://graph.microsoft.com/.default';

const silent: Log = { info() {}, warn() {}, error() {} };
const clock = () => new Date();
const tell = (message: RotatorMessage) => process.send?.(message);
const never = <T>(): Promise<T> => new Promise(() => {});

function createPorts({ urls }: RotatorOptions): RotationPorts {
  const credential = managedIdentityCredential(undefined);
  return {
    applications: createGraph({ endpoint: urls.graph, scope: SCOPE, credential }),
    vault: createVault({ url: urls.keyVault, credential, challengeVerification: false }),
    records: createRecords(createTables('rotation records', urls.tables, credential)),
    signIn: createSignIn({ authorityHost: urls.entra, instanceDiscovery: false, scope: SCOPE }),
  };
}

/** Tells of every call that is done; from the one to stop at on, no answer arrives. */
function stopping(rotation: string, stopAt: StopAt | undefined): AroundCalls {
  let left = stopAt === undefined || stopAt.after !== undefined ? undefined : stopAt.calls;
  return async (call, perform) => {
    const answer = await perform();
    // The same call has the same name in every rotation.
    const name = call.replace(rotation, '{name}');
    if (left === undefined && name === stopAt?.after) left = stopAt.calls;
    else if (left !== undefined) left -= 1;
    if (left === undefined || left > 0) {
      tell({ called: name });
      return answer;
    }
    if (left === 0) tell({ stopped: name });
    return never();
  };
}

const options = rotatorOptionsSchema.parse(JSON.parse(process.argv[2] ?? ''));
const { rotation, limits, asked, stopAt } = options;
process.once('disconnect', () => process.exit(0));

const ports = createPorts(options);
if (asked !== undefined) {
  const { record, etag } = await ports.records.read(rotation.name);
  const request = { id: randomUUID(), reason: 'requested', requestedAt: clock() } as const;
  const runs = [{ ...request, rotationId: undefined, doneAt: undefined }];
  await ports.records.write({ ...record, promoted: asked.promoted, runs }, etag);
}

const watched = aroundCalls(ports, stopping(rotation.name, stopAt));
const budget = createWriteBudget({ clock, ...GRAPH_WRITES });
for (;;) {
  const from = clock();
  const until = addSeconds(from, ROUND_SECONDS);
  const shared = { ports: watched, limits, budget, clock, newId: randomUUID, log: silent };
  try {
    const { reason } = await rotate(rotation, until, shared);
    tell({ from: from.toISOString(), reason });
  } catch (error) {
    // As the timer's round has it: what could not be read now is looked at again.
    if (!(error instanceof UpstreamError)) throw error;
  }
  await delay(LOOK_EVERY_MS);
}
