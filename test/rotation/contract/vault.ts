import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addSeconds, type Clock, secondsBetween } from '../../../src/clock.ts';
import type { SecretWrite, Vault } from '../../../src/rotation/ports.ts';
import { pendingName } from '../../../src/rotation/take-step.ts';
import { foundIn } from './found-in.ts';

/** One Key Vault, in memory or real, and the hands of a person who works on it without the broker. */
export interface VaultUnderTest {
  vault: Vault;
  /** The vault's own time. */
  clock: Clock;
  /** Writes a version without tags. */
  set(name: string, value: string): Promise<void>;
  /** Disables the current version. Needed by the statements marked [disable]. */
  disable?(name: string): Promise<void>;
  /** Deletes the secret, softly; it need not be complete yet. Needed by the statements marked [delete]. */
  remove?(name: string): Promise<void>;
  stop?(): Promise<void>;
}

export interface VaultContractOptions {
  /** Hands that this vault does not offer: the statements that are marked with them are left out. */
  without?: readonly ('disable' | 'delete')[];
}

/** More than one page of Key Vault's list of versions. */
const MANY_VERSIONS = 27;

/** Every statement of the port `Vault`, for any implementation of it. `start` is called once. */
export function describeVaultContract(
  name: string,
  start: () => Promise<VaultUnderTest>,
  { without = [] }: VaultContractOptions = {},
): void {
  describe(`${name} as Vault`, () => {
    let subject: VaultUnderTest;
    let count = 0;
    beforeAll(async () => {
      subject = await start();
    });
    afterAll(() => subject?.stop?.());

    /** A name that no other statement uses. */
    const aName = () => {
      count += 1;
      return `contract-secret-${count}`;
    };

    const aWrite = (changes: Partial<SecretWrite> = {}): SecretWrite => {
      count += 1;
      return {
        value: `value ${count} ~._-+/=&%"ü`,
        // Key Vault's times have whole seconds.
        expiresOn: new Date('2031-02-03T04:05:06.000Z'),
        keyId: `00000000-0000-4000-8000-${String(count).padStart(12, '0')}`,
        rotation: 'trainer-password',
        rotationId: `rotation-${count}`,
        ...changes,
      };
    };

    const found = async (secret: string) => foundIn(await subject.vault.look(secret));

    it('has not found a name that was never written, and no value of it', async () => {
      const secret = aName();
      expect(await subject.vault.look(secret)).toEqual({ kind: 'not_found' });
      expect(await subject.vault.readValue(secret, '0'.repeat(32))).toBeUndefined();
    });

    it('R5: shows what was written: expiry, tags, the count of versions; P2: never the value', async () => {
      const secret = aName();
      const written = aWrite();
      await subject.vault.write(secret, written);
      const { value, ...tags } = written;
      const shown = await found(secret);
      expect(shown).toEqual({
        version: expect.stringMatching(/^\S+$/),
        createdOn: expect.any(Date),
        ...tags,
        versions: 1,
      });
      expect(shown.createdOn.getTime() % 1000).toBe(0);
      expect(Math.abs(secondsBetween(shown.createdOn, subject.clock()))).toBeLessThan(5);
      expect(JSON.stringify(shown)).not.toContain(JSON.stringify(value).slice(1, -1));
    });

    it('R1: gives the value of exactly the version that was seen', async () => {
      const secret = aName();
      const written = aWrite();
      await subject.vault.write(secret, written);
      const { version } = await found(secret);
      expect(await subject.vault.readValue(secret, version)).toBe(written.value);
    });

    it('R1: gives no value of a version that another has overtaken, nor of one that never was', async () => {
      const secret = aName();
      await subject.vault.write(secret, aWrite());
      const { version: overtaken } = await found(secret);
      const latest = aWrite();
      await subject.vault.write(secret, latest);
      const { version } = await found(secret);
      expect(version).not.toBe(overtaken);
      expect(await subject.vault.readValue(secret, overtaken)).toBeUndefined();
      expect(await subject.vault.readValue(secret, 'f'.repeat(32))).toBeUndefined();
      expect(await subject.vault.readValue(secret, version)).toBe(latest.value);
    });

    it('keeps the tags with their version: the last one that was written is current', async () => {
      const secret = aName();
      const writes = [aWrite(), aWrite(), aWrite()];
      for (const [index, written] of writes.entries()) {
        await subject.vault.write(secret, written);
        const { keyId, rotationId } = written;
        expect(await found(secret)).toMatchObject({ keyId, rotationId, versions: index + 1 });
      }
    });

    it('shows a version that a person wrote as one without tags, and counts it', async () => {
      const secret = aName();
      await subject.vault.write(secret, aWrite());
      await subject.set(secret, 'typed by hand');
      const byHand = await found(secret);
      expect(byHand).toMatchObject({
        keyId: undefined,
        rotation: undefined,
        rotationId: undefined,
        versions: undefined,
        expiresOn: undefined,
      });
      expect(await subject.vault.readValue(secret, byHand.version)).toBe('typed by hand');
      await subject.vault.write(secret, aWrite());
      expect((await found(secret)).versions).toBe(3);
    });

    it('counts versions over more than one page', async () => {
      const secret = aName();
      for (let version = 0; version < MANY_VERSIONS; version++) await subject.set(secret, `version ${version}`);
      await subject.vault.write(secret, aWrite());
      expect((await found(secret)).versions).toBe(MANY_VERSIONS + 1);
    });

    it('lets the last writer win: of two writes at once one is current, whole', async () => {
      const secret = aName();
      const writes = [aWrite(), aWrite()];
      await Promise.all(writes.map((written) => subject.vault.write(secret, written)));
      const { keyId, rotationId, version } = await found(secret);
      const winner = writes.find((written) => written.keyId === keyId);
      expect(winner).toMatchObject({ rotationId });
      expect(await subject.vault.readValue(secret, version)).toBe(winner?.value);
    });

    it('keeps a name and its pending name apart, up to the longest', async () => {
      const secret = `${aName()}-`.padEnd(119, 'x');
      const [current, pending] = [aWrite({ rotation: secret }), aWrite({ rotation: secret })];
      await subject.vault.write(secret, current);
      await subject.vault.write(pendingName(secret), pending);
      expect(await found(secret)).toMatchObject({ keyId: current.keyId, rotation: secret, versions: 1 });
      expect(await found(pendingName(secret))).toMatchObject({ keyId: pending.keyId, rotation: secret, versions: 1 });
    });

    it('shows a version that has expired as found', async () => {
      const secret = aName();
      const expiresOn = new Date('2020-01-01T00:00:00.000Z');
      const written = aWrite({ expiresOn });
      await subject.vault.write(secret, written);
      const { version, ...shown } = await found(secret);
      expect(shown.expiresOn).toEqual(expiresOn);
      expect(await subject.vault.readValue(secret, version)).toBe(written.value);
    });

    it('writes an end that is decades away as one that has not come yet', async () => {
      const secret = aName();
      const now = subject.clock();
      await subject.vault.write(secret, aWrite({ expiresOn: addSeconds(now, 40 * 366 * 86_400) }));
      expect(secondsBetween(now, (await found(secret)).expiresOn ?? now)).toBeGreaterThan(5 * 366 * 86_400);
    });

    if (!without.includes('disable')) {
      it('[disable] a disabled current version is disabled, whatever stands before it', async () => {
        const secret = aName();
        await subject.vault.write(secret, aWrite());
        await subject.vault.write(secret, aWrite());
        const { version } = await found(secret);
        await subject.disable?.(secret);
        expect(await subject.vault.look(secret)).toEqual({ kind: 'disabled' });
        await expect(subject.vault.readValue(secret, version)).rejects.toMatchObject({
          name: 'UpstreamError',
          kind: 'forbidden',
        });
      });

      it('[disable] a new version of a secret whose current one is disabled is found', async () => {
        const secret = aName();
        await subject.vault.write(secret, aWrite());
        await subject.disable?.(secret);
        const written = aWrite();
        await subject.vault.write(secret, written);
        expect(await found(secret)).toMatchObject({ keyId: written.keyId, versions: 2 });
      });
    }

    if (!without.includes('delete')) {
      it('[delete] a deleted secret is deleted, also while the deletion goes on; never not_found', async () => {
        const secret = aName();
        await subject.vault.write(secret, aWrite());
        const { version } = await found(secret);
        await subject.remove?.(secret);
        expect(await subject.vault.look(secret)).toEqual({ kind: 'deleted' });
        expect(await subject.vault.readValue(secret, version)).toBeUndefined();
      });

      it('[delete] a write to a deleted name is a conflict, and changes nothing', async () => {
        const secret = aName();
        await subject.vault.write(secret, aWrite());
        await subject.remove?.(secret);
        await expect(subject.vault.write(secret, aWrite())).rejects.toMatchObject({
          name: 'UpstreamError',
          kind: 'conflict',
        });
        expect(await subject.vault.look(secret)).toEqual({ kind: 'deleted' });
      });
    }
  });
}
