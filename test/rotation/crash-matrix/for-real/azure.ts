import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod';
import { TENANT_ID, TRAINER } from '../../../../sandbox/seed.ts';
import { markOf, type Rotation } from '../../../../src/rotation/facts.ts';
import { pendingName } from '../../../../src/rotation/take-step.ts';
import { startTestSandbox, type TestSandbox } from '../../../support/sandbox.ts';

/** The sandbox as the sample needs it: rotations that are ready to begin, and what exists at a moment. */

export const PROPAGATION_SECONDS = 1;

const instant = z.iso.datetime().transform((text) => new Date(text));

const passwordState = z.looseObject({ keyId: z.string(), displayName: z.string().nullable(), startDateTime: instant });
const versionState = z.looseObject({ id: z.string(), created: instant, tags: z.record(z.string(), z.string()) });
const stateSchema = z.looseObject({
  applications: z.array(z.looseObject({ id: z.string(), passwords: z.array(passwordState) })),
  secrets: z.array(z.looseObject({ name: z.string(), versions: z.array(versionState) })),
});
const addedSchema = z.looseObject({ keyId: z.string(), secretText: z.string() });

/** What exists of one rotation, from `GET /state`. */
export interface RotationState {
  own: z.output<typeof passwordState>[];
  /** Of every other password of the application. */
  otherKeyIds: string[];
  /** The last one is current. */
  versions: z.output<typeof versionState>[];
  pendingVersions: number;
}

export interface RealAzure {
  sandbox: TestSandbox;
  /** Makes a password and a secret that has held it for some time, and gives its key id. */
  prepare(rotation: Rotation): Promise<string>;
  /** Key id of a password that somebody made by hand. */
  foreign: string;
  stateOf(rotation: Rotation): Promise<RotationState>;
  stop(): Promise<void>;
}

const rotationId = 'before';

export async function startRealAzure(): Promise<RealAzure> {
  const sandbox = await startTestSandbox({ SANDBOX_PROPAGATION_SECONDS: String(PROPAGATION_SECONDS) });
  const operate = async (name: string, body: Record<string, unknown>): Promise<unknown> => {
    const answer = await sandbox.control('POST', `/operations/${name}`, body);
    if (!answer.ok) throw new Error(`The sandbox refused ${name}: ${await answer.text()}`);
    return answer.json();
  };
  const addPassword = async (displayName: string, lifetimeSeconds: number) =>
    addedSchema.parse(await operate('add-password', { application: TRAINER.objectId, displayName, lifetimeSeconds }));
  const foreign = await addPassword('made by hand', 30 * 86_400);
  return {
    sandbox,
    foreign: foreign.keyId,
    stop: () => sandbox.stop(),

    async prepare({ name, lifetimeSeconds }) {
      const { keyId, secretText } = await addPassword(`${markOf(name)}${rotationId}`, lifetimeSeconds);
      // Nobody reads the secret before every replica knows the password.
      await delay(PROPAGATION_SECONDS * 1000 + 200);
      const tags = { keyId, rotation: name, rotationId };
      for (const secret of [pendingName(name), name])
        await operate('set-secret', { name: secret, value: secretText, tags });
      return keyId;
    },

    async stateOf({ name }) {
      const state = stateSchema.parse(await (await sandbox.control('GET', '/state')).json());
      const passwords = state.applications.find(({ id }) => id === TRAINER.objectId)?.passwords ?? [];
      const isOwn = ({ displayName }: { displayName: string | null }) => displayName?.startsWith(markOf(name)) === true;
      const versionsOf = (secret: string) => state.secrets.find((one) => one.name === secret)?.versions ?? [];
      return {
        own: passwords.filter(isOwn),
        otherKeyIds: passwords.filter((password) => !isOwn(password)).map(({ keyId }) => keyId),
        versions: versionsOf(name),
        pendingVersions: versionsOf(pendingName(name)).length,
      };
    },
  };
}

/** A rotation of the application that the broker owns in the sandbox. Any number of them share it. */
export const rotationNamed = (name: string, overlapSeconds: number): Rotation => ({
  name,
  tenantId: TENANT_ID,
  clientId: TRAINER.appId,
  application: TRAINER.objectId,
  rotateEverySeconds: 30 * 86_400,
  lifetimeSeconds: 90 * 86_400,
  overlapSeconds,
});
