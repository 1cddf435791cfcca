import { describe, expect, it } from 'vitest';
import type { FoundApplication } from '../../src/azure/graph.ts';
import { defaultName, type ImportContext, importSecret } from '../../src/cli/import-secret.ts';
import { addSeconds } from '../../src/clock.ts';
import { UpstreamError } from '../../src/errors.ts';
import type { Fact, PlanLimits, Rotation } from '../../src/rotation/facts.ts';
import { rotate } from '../../src/rotation/rotate.ts';
import { createWriteBudget, GRAPH_WRITES } from '../../src/rotation/write-budget.ts';
import { createRandom } from '../rotation/in-memory/random.ts';
import { createVirtualTime } from '../rotation/in-memory/virtual-time.ts';
import { createWorld } from '../rotation/in-memory/world.ts';

const DAY = 86_400;
const start = new Date('2026-11-22T12:00:00.000Z');
const limits: PlanLimits = { proofs: 3, spreadSeconds: 60, orphanGraceSeconds: 1200 };
const wanted = {
  name: 'trainer-password',
  rotateEverySeconds: undefined,
  lifetimeSeconds: undefined,
  overlapSeconds: undefined,
  keyId: undefined,
};
const rotation: Rotation = {
  name: wanted.name,
  tenantId: '11111111-1111-4111-8111-111111111111',
  clientId: 'd0000000-0000-4000-8000-000000000001',
  application: 'd0000000-0000-4000-8000-0000000000a1',
  rotateEverySeconds: 30 * DAY,
  lifetimeSeconds: 90 * DAY,
  overlapSeconds: DAY,
};
const silent = { info: () => {}, warn: () => {}, error: () => {} };

/** An application with one password made by az a month ago, and nothing else. */
function createScene() {
  const time = createVirtualTime(start);
  const world = createWorld({
    time,
    random: createRandom(1),
    rotation,
    propagationSeconds: 5,
    graphLagSeconds: 0,
    vaultClockSkewSeconds: 0,
    onAdded: () => {},
    onRemoved: () => {},
  });
  const byAz = { displayName: 'rbac', startsOn: addSeconds(start, -30 * DAY), endsOn: addSeconds(start, 335 * DAY) };
  const imported = world.graph.seed(byAz);
  const hints = new Map<string, string | undefined>([[imported.keyId, imported.text.slice(0, 3)]]);
  const lines: string[] = [];
  const sleep = async (ms: number) => {
    let over = false;
    void time.sleep(ms).then(() => {
      over = true;
    });
    await time.run(
      () => {},
      () => over,
    );
  };
  let ids = 0;
  const context: ImportContext = {
    ports: world.ports,
    async findApplication(): Promise<Fact<FoundApplication>> {
      const passwords = world.graph.passwords();
      const shown = new Map(passwords.map(({ keyId }) => [keyId, hints.has(keyId) ? hints.get(keyId) : 'new']));
      const application = { appId: rotation.clientId, passwords };
      return { kind: 'found', value: { objectId: rotation.application, application, hints: shown } };
    },
    limits,
    rotator: 'a0000000-0000-4000-8000-000000000001',
    admit: (admitted) => ({ rotation: admitted, configured: false }),
    clock: time.clock,
    sleep,
    newId: () => `id-${ids++}`,
    print: (line) => lines.push(line),
    ask: undefined,
    confirm: undefined,
  };
  const secret = {
    tenantId: rotation.tenantId,
    clientId: rotation.clientId,
    secretText: imported.text,
    displayName: undefined,
    authorityUrl: undefined,
  };
  /** What the timer does once the policy has the rotation. */
  const round = () => {
    const budget = createWriteBudget({ clock: time.clock, ...GRAPH_WRITES });
    const until = addSeconds(time.clock(), 60);
    const options = { ports: world.ports, limits, budget, clock: time.clock, newId: context.newId, log: silent };
    return rotate(rotation, until, options);
  };
  return {
    time,
    world,
    imported,
    hints,
    byAz,
    context,
    secret,
    lines,
    sleep,
    round,
    byAzAgain: () => world.graph.seed(byAz),
  };
}

type Scene = ReturnType<typeof createScene>;

/** The value that consumers read signs in at every replica, and is not the imported one. */
function expectRotated({ world, imported }: Scene): void {
  const current = world.vault.versions(rotation.name).at(-1);
  expect(current?.value).not.toBe(imported.text);
  expect(world.entra.refusing(current?.value ?? '')).toEqual([]);
  expect(world.entra.refusing(imported.text)).toEqual([]);
  const record = world.records.peek(rotation.name);
  expect(record.adopted).toEqual([imported.keyId]);
  expect(record.runs).toMatchObject([{ id: `import-${imported.keyId}`, doneAt: expect.any(Date) }]);
}

describe('an import', () => {
  it('stores, adopts and rotates; the imported password goes after the overlap and nothing else is left (R2, R3, R4)', async () => {
    const scene = createScene();
    const { world, imported, context, secret, sleep, round } = scene;
    const outcome = await importSecret(secret, wanted, context);
    expectRotated(scene);
    const [first] = world.vault.versions(rotation.name);
    expect(first).toMatchObject({ value: imported.text, told: { keyId: imported.keyId, rotationId: 'imported' } });
    expect(outcome).toMatchObject({ keyId: imported.keyId, configured: false, rotation });
    const goesAt = outcome === 'declined' ? undefined : outcome.goesAt;
    expect(goesAt?.getTime()).toBeGreaterThan(scene.time.clock().getTime() + (DAY - 300) * 1000);

    await sleep((DAY - 600) * 1000);
    await round();
    expect(world.entra.refusing(imported.text)).toEqual([]);
    await sleep(700_000);
    await round();
    expect(world.graph.passwords()).toMatchObject([{ displayName: expect.stringContaining('aml-token-broker/') }]);
  });

  it('says nothing of the secret, and keeps it out of the record', async () => {
    const { world, imported, context, secret, lines } = createScene();
    await importSecret(secret, wanted, context);
    const told = lines.join('\n') + JSON.stringify(world.records.peek(rotation.name));
    for (const { value } of world.vault.versions(rotation.name)) expect(told).not.toContain(value);
    expect(told).toContain(imported.keyId);
  });

  it('may be cut off before or after any call and run again, without a moment in which the secret does not sign in (R1)', async () => {
    let points = 0;
    for (let calls = 1; ; calls++) {
      for (const after of [false, true]) {
        const scene = createScene();
        const { context, secret } = scene;
        const { died, wrapped } = dyingAt(calls, after, scene);
        const ended = await Promise.race([importSecret(secret, wanted, { ...context, ...wrapped }), died]);
        if (ended !== 'died') {
          expect(points).toBeGreaterThan(30);
          return;
        }
        points += 1;
        const current = scene.world.vault.versions(rotation.name).at(-1);
        if (current !== undefined) expect(scene.world.entra.refusing(current.value)).toEqual([]);
        await importSecret(secret, wanted, context);
        expectRotated(scene);
        // A password whose text died with the process is an orphan: no more than one, and it goes.
        expect(scene.world.graph.passwords().length).toBeLessThanOrEqual(3);
        await scene.sleep((DAY + 2000) * 1000);
        await scene.round();
        expect(scene.world.graph.passwords()).toHaveLength(1);
      }
    }
  });

  it('asks for one rotation, however often it is run', async () => {
    const { world, context, secret } = createScene();
    await importSecret(secret, wanted, context);
    const versions = world.vault.versions(rotation.name).length;
    await importSecret(secret, wanted, context);
    expect(world.vault.versions(rotation.name)).toHaveLength(versions);
    expect(world.records.peek(rotation.name).runs).toHaveLength(1);
  });

  it('takes a name that holds the same secret, stored by hand', async () => {
    const scene = createScene();
    const { world, imported, context, secret } = scene;
    const byHand = { value: imported.text, expiresOn: scene.byAz.endsOn, keyId: 'other', rotation: '', rotationId: '' };
    world.vault.seed(rotation.name, byHand, addSeconds(start, -DAY));
    await importSecret(secret, wanted, context);
    expectRotated(scene);
  });

  it('waits for a new secret to be known, and refuses one that stays unknown', async () => {
    const scene = createScene();
    const made = await scene.world.graph.addPassword(rotation.application, {
      displayName: 'new',
      endsOn: scene.byAz.endsOn,
    });
    if (typeof made === 'string') throw new Error('not made');
    scene.hints.set(made.made.keyId, 'tex').set(scene.imported.keyId, 'abc');
    const secret = { ...scene.secret, secretText: made.secretText };
    expect(await importSecret(secret, wanted, scene.context)).toMatchObject({ keyId: made.made.keyId });
    const unknown = importSecret({ ...secret, secretText: 'tex-no-such' }, wanted, scene.context);
    await expect(unknown).rejects.toThrow('Entra does not know this secret');
  });
});

/** Ports of a process that dies at its n-th call: before it is made, or when its effect is there and its answer is not. */
function dyingAt(calls: number, after: boolean, { context }: Scene) {
  const { promise: died, resolve } = Promise.withResolvers<'died'>();
  const dead = new Promise<never>(() => {});
  let count = 0;
  const wrap =
    <A extends readonly unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      count += 1;
      const living = count < calls || (count === calls && after);
      const answer = living ? await call(...args) : dead;
      if (count < calls) return answer;
      resolve('died');
      return dead;
    };
  const { applications, vault, records, signIn } = context.ports;
  const ports = {
    signIn: wrap(signIn),
    applications: {
      read: wrap(applications.read),
      addPassword: wrap(applications.addPassword),
      removePassword: wrap(applications.removePassword),
    },
    vault: { look: wrap(vault.look), readValue: wrap(vault.readValue), write: wrap(vault.write) },
    records: { list: wrap(records.list), read: wrap(records.read), write: wrap(records.write) },
  };
  return { died, wrapped: { ports, findApplication: wrap(context.findApplication) } };
}

describe('an import is refused, and nothing is written,', () => {
  const expectUntouched = ({ world }: Scene) => {
    expect(world.vault.versions(rotation.name)).toEqual([]);
    expect(world.records.peek(rotation.name)).toMatchObject({ adopted: [], runs: [] });
  };

  it('when several passwords begin alike and nobody can be asked: each is listed with its id', async () => {
    const scene = createScene();
    const other = scene.byAzAgain();
    scene.hints.set(other.keyId, 'tex');
    const refused = importSecret(scene.secret, wanted, scene.context);
    await expect(refused).rejects.toThrow(new RegExp(`${scene.imported.keyId}[\\s\\S]*--key-id`));
    await expect(importSecret(scene.secret, wanted, scene.context)).rejects.toThrow(other.keyId);
    expectUntouched(scene);
  });

  it('when the answer names no password, or --key-id one that begins otherwise', async () => {
    const scene = createScene();
    const other = scene.byAzAgain();
    scene.hints.set(other.keyId, 'tex');
    const asked = { ...scene.context, ask: async () => '3' };
    await expect(importSecret(scene.secret, wanted, asked)).rejects.toThrow('No password was chosen');
    scene.hints.set(other.keyId, 'abc');
    const named = importSecret(scene.secret, { ...wanted, keyId: other.keyId }, scene.context);
    await expect(named).rejects.toThrow('--key-id names none');
    expectUntouched(scene);
  });

  it('when no password of the application begins like it', async () => {
    const scene = createScene();
    scene.hints.set(scene.imported.keyId, 'abc');
    await expect(importSecret(scene.secret, wanted, scene.context)).rejects.toThrow('service principal');
    expectUntouched(scene);
  });

  it('when the person says no', async () => {
    const scene = createScene();
    const asked: string[] = [];
    const confirm = async (question: string) => {
      asked.push(question);
      return false;
    };
    expect(await importSecret(scene.secret, wanted, { ...scene.context, confirm })).toBe('declined');
    expect(asked).toEqual([expect.stringContaining(scene.imported.keyId)]);
    expectUntouched(scene);
  });

  it('when Entra refuses the client id, when Graph forbids the application or does not know it', async () => {
    const scene = createScene();
    const signIn = async () => {
      throw new UpstreamError({ kind: 'credential_refused', service: 'entra', upstreamCode: 'AADSTS700016' });
    };
    const ports = { ...scene.context.ports, signIn };
    const wrongClient = importSecret(scene.secret, wanted, { ...scene.context, ports });
    await expect(wrongClient).rejects.toThrow('AADSTS700016');
    for (const [kind, why] of [
      ['forbidden', `az ad app owner add --id ${rotation.clientId} --owner-object-id a0000000-`],
      ['not_found', 'Graph knows no application of the client id'],
    ] as const) {
      const refused = importSecret(scene.secret, wanted, { ...scene.context, findApplication: async () => ({ kind }) });
      await expect(refused).rejects.toThrow(why);
    }
    expectUntouched(scene);
  });

  it.each([
    ['disabled', 'az keyvault secret set-attributes --name trainer-password --enabled true'],
    ['deleted', 'az keyvault secret recover --name trainer-password'],
    ['forbidden', 'Key Vault Secrets Officer'],
  ] as const)('when the name’s secret is %s', async (kind, why) => {
    const scene = createScene();
    const vault = {
      ...scene.world.vault,
      look: async (name: string) => (name === rotation.name ? { kind } : { kind: 'not_found' as const }),
    };
    const refused = importSecret(scene.secret, wanted, { ...scene.context, ports: { ...scene.world.ports, vault } });
    await expect(refused).rejects.toThrow(why);
    expectUntouched(scene);
  });

  it('when the name, or its pending twin, holds something else', async () => {
    const other = { value: 'other', expiresOn: addSeconds(start, DAY), keyId: 'x', rotation: 'else', rotationId: 'x' };
    for (const [name, why] of [
      [rotation.name, 'holds something else. Choose another --name'],
      [`${rotation.name}-pending`, 'is somebody else’s'],
    ] as const) {
      const scene = createScene();
      scene.world.vault.seed(name, other, addSeconds(start, -DAY));
      await expect(importSecret(scene.secret, wanted, scene.context)).rejects.toThrow(why);
      expect(scene.world.vault.versions(name)).toHaveLength(1);
      expect(scene.world.records.peek(rotation.name).adopted).toEqual([]);
    }
  });

  it('when another rotation has the password in hand, by its record or its mark (R3)', async () => {
    const scene = createScene();
    scene.world.records.change('other', { promoted: scene.imported.keyId });
    await expect(importSecret(scene.secret, wanted, scene.context)).rejects.toThrow('is of the rotation "other"');
    expectUntouched(scene);

    const marked = createScene();
    const password = marked.world.graph.seed({ ...marked.byAz, displayName: 'aml-token-broker/another/id' });
    marked.hints.set(password.keyId, 'tex').set(marked.imported.keyId, 'abc');
    const secret = { ...marked.secret, secretText: password.text };
    await expect(importSecret(secret, wanted, marked.context)).rejects.toThrow('is of the rotation "another"');
    expectUntouched(marked);
  });
});

describe('a person’s answer', () => {
  it('chooses among passwords that begin alike', async () => {
    const scene = createScene();
    const other = scene.byAzAgain();
    scene.hints.set(other.keyId, 'tex');
    const questions: string[] = [];
    const ask = async (question: string) => {
      questions.push(question);
      return ' 2 ';
    };
    expect(await importSecret(scene.secret, wanted, { ...scene.context, ask })).toMatchObject({
      keyId: scene.imported.keyId,
    });
    expect(questions).toEqual([
      expect.stringMatching(new RegExp(`1\\. ${other.keyId} "rbac".*\\n +2\\. ${scene.imported.keyId}`)),
    ]);
    for (const { value } of scene.world.vault.versions(rotation.name)) expect(questions.join()).not.toContain(value);
  });
});

describe('a state that asks for a person while it rotates', () => {
  it('ends the import with the way out; the imported secret stays current', async () => {
    const scene = createScene();
    const applications = { ...scene.world.graph, addPassword: async () => 'lifetime_refused' as const };
    const ports = { ...scene.world.ports, applications };
    const stopped = importSecret(scene.secret, wanted, { ...scene.context, ports });
    await expect(stopped).rejects.toThrow(/stored and signs in; it is not rotated yet[\s\S]*Shorten rotateEvery/);
    expect(scene.world.vault.versions(rotation.name).at(-1)?.value).toBe(scene.imported.text);
    await importSecret(scene.secret, wanted, scene.context);
    expectRotated(scene);
  });
});

describe('the name of an imported secret', () => {
  const { secret } = createScene();
  it.each([
    ['azure-cli-2026-11-22-07-09-11', 'azure-cli-2026-11-22-07-09-11-password'],
    ['My App (Prod)', 'my-app-prod-password'],
    ['北京', `sp-${rotation.clientId}-password`],
    [undefined, `sp-${rotation.clientId}-password`],
  ])('is made of the display name %j', (displayName, name) => {
    expect(defaultName({ ...secret, displayName })).toBe(name);
  });
});
