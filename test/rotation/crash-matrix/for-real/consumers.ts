import { request } from 'node:https';
import * as z from 'zod';
import type { Rotation } from '../../../../src/rotation/facts.ts';
import type { TestSandbox } from '../../../support/sandbox.ts';

const VAULT_RESOURCE = 'https://vault.azure.net';
const EVERY_MS = 400;

const secretSchema = z.looseObject({
  value: z.string(),
  id: z.string(),
  attributes: z.looseObject({ created: z.int() }),
});

interface SeenVersion {
  id: string;
  text: string;
  /** Whole seconds, rounded down: when the version before it began its overlap. */
  createdOn: Date;
}

export interface Consumers {
  /** How often each has signed in. */
  signIns(): { current: number; previous: number };
  /** What they were refused first, if anything. */
  refused(): string | undefined;
  stop(): Promise<void>;
}

/**
 * Two consumers, again and again until they are stopped: one signs in with what GET {name} returns, the other with each
 * previous secret whose overlap lasts. Each sign-in is on a connection of its own.
 */
export function startConsumers(sandbox: TestSandbox, rotation: Rotation): Consumers {
  const { keyVault, entra } = sandbox.endpoints;
  const versions: SeenVersion[] = [];
  const stopped = new AbortController();
  const signIns = { current: 0, previous: 0 };
  let refused: string | undefined;

  const readCurrent = async (): Promise<SeenVersion> => {
    const bearer = await sandbox.identityToken(VAULT_RESOURCE);
    const url = `${keyVault}/secrets/${rotation.name}?api-version=7.4`;
    const answer = await fetch(url, { headers: { Authorization: `Bearer ${bearer}` } });
    if (!answer.ok) throw new Error(`GET ${rotation.name} was answered with ${answer.status}`);
    const { id, value, attributes } = secretSchema.parse(await answer.json());
    return { id, text: value, createdOn: new Date(attributes.created * 1000) };
  };

  const signIn = async (secretText: string): Promise<boolean> => {
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: rotation.clientId,
      client_secret: secretText,
      scope: 'https://management.azure.com/.default',
    });
    return (await post(`${entra}/${rotation.tenantId}/oauth2/v2.0/token`, form.toString())) === 200;
  };

  const signInAll = async () => {
    const current = await readCurrent();
    if (versions.at(-1)?.id !== current.id) versions.push(current);
    signIns.current += 1;
    if (!(await signIn(current.text))) return 'R1 what GET returns does not sign in';
    for (const [index, { text }] of versions.entries()) {
      const successor = versions[index + 1];
      if (successor === undefined) break;
      const endsAt = successor.createdOn.getTime() + rotation.overlapSeconds * 1000;
      if (Date.now() >= endsAt) continue;
      signIns.previous += 1;
      if (!(await signIn(text)) && Date.now() < endsAt)
        return 'R2 the previous secret does not sign in within its overlap';
    }
    return undefined;
  };

  const work = async () => {
    while (!stopped.signal.aborted && refused === undefined) {
      const begunAt = Date.now();
      refused = await signInAll();
      const rest = Math.max(0, begunAt + EVERY_MS - Date.now());
      await new Promise((resolve) => setTimeout(resolve, rest));
    }
  };
  const over = work().catch((error: unknown) => {
    refused = `a consumer failed: ${String(error)}`;
  });
  return {
    signIns: () => ({ ...signIns }),
    refused: () => refused,
    async stop() {
      stopped.abort();
      await over;
    },
  };
}

/** Posts a form on a new connection; gives the status. */
function post(url: string, form: string): Promise<number> {
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': Buffer.byteLength(form) };
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', agent: false, headers }, (answer) => {
      answer.resume().once('end', () => resolve(answer.statusCode ?? 0));
    });
    sent.once('error', reject).end(form);
  });
}
