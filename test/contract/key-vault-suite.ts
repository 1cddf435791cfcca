import { randomUUID } from 'node:crypto';
import type { SecretClient, SecretProperties } from '@azure/keyvault-secrets';
import { describe, expect, it } from 'vitest';

/** A vault under test: any Key Vault, or what stands in for one, reached by the official SDK. */
export interface VaultUnderTest {
  /** The vault, by a client that has called nothing yet; it may read, write, delete, recover and purge secrets. */
  client(): SecretClient;
  /** Scopes that the credential of these clients was asked for, in the order of the asking. */
  scopes: readonly string[];
  /** The vault's clock, to some seconds. */
  now(): Date;
  /** Ends when a deletion or a recovery that was begun before is complete. */
  settle(): Promise<unknown>;
}

/** Statements that a vault is known not to keep: title → why. Each of them must fail there, so that the list stays true. */
export type Deviations = Readonly<Record<string, string>>;

/** A name that no other test uses: vaults are shared, and keep names of deleted secrets. */
const aName = () => `contract-${randomUUID()}`;

/** What the SDK throws for a refusal with this status, and with these codes where they are given. */
const refusal = (statusCode: number, code?: string, inner?: string) => ({
  name: 'RestError',
  statusCode,
  ...(code === undefined ? {} : { code }),
  ...(inner === undefined ? {} : { details: { error: { innerError: { code: inner } } } }),
});

const tagsNamed = (names: string) => Object.fromEntries([...names].map((name) => [name, name]));

async function versionsOf(secrets: SecretClient, name: string): Promise<SecretProperties[]> {
  const versions = [];
  for await (const properties of secrets.listPropertiesOfSecretVersions(name)) versions.push(properties);
  return versions;
}

/** Writes versions one after the other; gives their ids in that order. */
async function write(secrets: SecretClient, name: string, ...values: string[]): Promise<string[]> {
  const versions = [];
  for (const value of values) versions.push((await secrets.setSecret(name, value)).properties.version ?? '');
  return versions;
}

/**
 * What Key Vault promises of secrets, as far as the broker rests on it: run against the sandbox, and against stand-ins
 * that others wrote.
 *
 * @param reach Asked in each test, when the vault runs.
 */
export function describeKeyVault(vault: string, reach: () => VaultUnderTest, deviations: Deviations = {}): void {
  const titles = new Set<string>();

  /** One statement; where it is listed as a deviation, the test passes only while the vault breaks it. */
  const states = (title: string, test: (secrets: SecretClient, vault: VaultUnderTest) => Promise<void>) => {
    titles.add(title);
    const run = () => test(reach().client(), reach());
    const reason = deviations[title];
    if (reason === undefined) it(title, run);
    else it.fails(`${title} (known not to: ${reason})`, run);
  };

  describe(`Key Vault contract, ${vault}: versions`, () => {
    states('asks for a token by a challenge, once for each client', async (secrets, { scopes }) => {
      const before = scopes.length;
      const name = aName();
      await write(secrets, name, 'one', 'two');
      await secrets.getSecret(name);
      expect(scopes.slice(before)).toEqual([expect.stringMatching(/^https:\/\/.+\/\.default$/)]);
    });

    states('gives a written secret a version of 32 hex digits, and no field for what is not set', async (secrets) => {
      const { value, properties } = await secrets.setSecret(aName(), 'text');
      expect(value).toBe('text');
      expect(properties).toMatchObject({ version: expect.stringMatching(/^[0-9a-f]{32}$/), enabled: true });
      const { contentType, tags, expiresOn, notBefore } = properties;
      expect({ contentType, tags: tags ?? {}, expiresOn, notBefore }).toEqual({ tags: {} });
    });

    states('dates a version in whole seconds and names its recovery', async (secrets, { now }) => {
      const { createdOn, updatedOn, recoveryLevel, recoverableDays } = (await secrets.setSecret(aName(), 'text'))
        .properties;
      for (const instant of [createdOn, updatedOn]) {
        expect((instant?.getTime() ?? 1) % 1000).toBe(0);
        expect(Math.abs((instant?.getTime() ?? 0) - now().getTime())).toBeLessThanOrEqual(10_000);
      }
      expect(recoveryLevel).toMatch(/Recoverable/);
      expect(recoverableDays).toBeGreaterThanOrEqual(7);
      expect(recoverableDays).toBeLessThanOrEqual(90);
    });

    states('keeps a value to the character', async (secrets) => {
      for (const value of [' blanks and a line end \n', '"quotes" \\ {"json":[1]}', 'Zoë 東京 🔑', 'a~b.c-d_e+f/g=']) {
        const name = aName();
        await secrets.setSecret(name, value);
        expect((await secrets.getSecret(name)).value).toBe(value);
      }
    });

    states('reads the version written last at once, however fast the versions follow each other', async (secrets) => {
      const name = aName();
      for (const value of ['one', 'two', 'three', 'four', 'five']) {
        const [version] = await write(secrets, name, value);
        expect(await secrets.getSecret(name)).toMatchObject({ value, properties: { version } });
      }
    });

    states('keeps every version, also of writers at the same time', async (secrets) => {
      const name = aName();
      const values = ['one', 'two', 'three', 'four'];
      const written = await Promise.all(values.map((value) => write(secrets, name, value)));
      const found = await versionsOf(secrets, name);
      expect(found.map(({ version }) => version).toSorted()).toEqual(written.flat().toSorted());
      const current = await secrets.getSecret(name);
      expect(values[written.flat().indexOf(current.properties.version ?? '')]).toBe(current.value);
    });

    states('keeps exp, nbf, content type and tags with the version that they were written to', async (secrets) => {
      const name = aName();
      const fields = {
        expiresOn: new Date(1_998_761_600_000),
        notBefore: new Date(5000),
        contentType: 'text/plain',
        tags: { keyId: 'k' },
      };
      const { properties } = await secrets.setSecret(name, 'one', fields);
      await secrets.setSecret(name, 'two');
      const old = await secrets.getSecret(name, { version: properties.version ?? '' });
      expect(old).toMatchObject({ value: 'one', properties: fields });
      const current = (await secrets.getSecret(name)).properties;
      expect([current.expiresOn, current.notBefore, current.contentType]).toEqual([undefined, undefined, undefined]);
      expect(current.tags ?? {}).toEqual({});
    });

    states('finds a name without regard to case', async (secrets) => {
      const name = `Mixed-${aName()}`;
      await write(secrets, name, 'one');
      expect((await secrets.getSecret(name.toLowerCase())).value).toBe('one');
      await write(secrets, name.toUpperCase(), 'two');
      expect(await versionsOf(secrets, name)).toHaveLength(2);
    });

    states('serves secrets that have expired', async (secrets) => {
      const name = aName();
      await secrets.setSecret(name, 'text', { expiresOn: new Date(1_000_000_000_000) });
      expect((await secrets.getSecret(name)).value).toBe('text');
    });

    states('serves secrets that are not valid yet', async (secrets) => {
      const name = aName();
      await secrets.setSecret(name, 'text', { notBefore: new Date(1_998_761_600_000) });
      expect((await secrets.getSecret(name)).value).toBe('text');
    });

    states('answers 404 for a name, and for a version, that is not there', async (secrets) => {
      const name = aName();
      await expect(secrets.getSecret(name)).rejects.toMatchObject(refusal(404));
      await write(secrets, name, 'one');
      await expect(secrets.getSecret(name, { version: '0'.repeat(32) })).rejects.toMatchObject(refusal(404));
    });

    states('takes a value of 25,600 characters and fifteen tags', async (secrets) => {
      const name = aName();
      const [value, tags] = ['v'.repeat(25_600), tagsNamed('abcdefghijklmno')];
      await secrets.setSecret(name, value, { tags });
      expect(await secrets.getSecret(name)).toMatchObject({ value, properties: { tags } });
    });

    states(
      'refuses names with other characters than letters, digits and dashes, and longer than 127',
      async (secrets) => {
        for (const name of ['bad_name', 'bad.name', 'n'.repeat(128)]) {
          await expect(secrets.setSecret(name, 'x')).rejects.toMatchObject(refusal(400));
        }
        expect((await secrets.setSecret(aName().padEnd(127, '0'), 'x')).value).toBe('x');
      },
    );

    states('refuses values, tags and content types above their limits, and writes nothing', async (secrets) => {
      const tooMuch = [
        { value: 'v'.repeat(25_601) },
        { tags: tagsNamed('abcdefghijklmnop') },
        { tags: { k: 'v'.repeat(257) } },
        { contentType: 'c'.repeat(256) },
      ];
      for (const { value = 'x', ...options } of tooMuch) {
        const name = aName();
        await expect(secrets.setSecret(name, value, options)).rejects.toMatchObject(refusal(400));
        await expect(secrets.getSecret(name)).rejects.toMatchObject(refusal(404));
      }
    });

    states('names its refusals SecretNotFound and BadParameter', async (secrets) => {
      await expect(secrets.getSecret(aName())).rejects.toMatchObject(refusal(404, 'SecretNotFound'));
      await expect(secrets.setSecret('bad_name', 'x')).rejects.toMatchObject(refusal(400, 'BadParameter'));
    });
  });

  describe(`Key Vault contract, ${vault}: changes to a version`, () => {
    states('changes the tags of one version, as a whole, and never its value', async (secrets) => {
      const name = aName();
      const first = await secrets.setSecret(name, 'one', { tags: { a: '1', b: '2' } });
      await secrets.setSecret(name, 'two', { tags: { a: '1' } });
      const version = first.properties.version ?? '';
      const changed = await secrets.updateSecretProperties(name, version, { tags: { c: '3' } });
      expect(changed.tags).toEqual({ c: '3' });
      const old = await secrets.getSecret(name, { version });
      expect(old.value).toBe('one');
      expect(old.properties.tags).toEqual({ c: '3' });
      const current = await secrets.getSecret(name);
      expect(current.value).toBe('two');
      expect(current.properties.tags).toEqual({ a: '1' });
    });

    states('keeps what a change does not name', async (secrets) => {
      const name = aName();
      const expiresOn = new Date(1_998_761_600_000);
      const written = await secrets.setSecret(name, 'one', { tags: { a: '1' }, expiresOn, contentType: 'text/plain' });
      await secrets.updateSecretProperties(name, written.properties.version ?? '', { enabled: true });
      const { properties } = await secrets.getSecret(name);
      expect(properties).toMatchObject({ tags: { a: '1' }, expiresOn, contentType: 'text/plain' });
    });

    states('does not read a disabled current version; it reads again once enabled', async (secrets) => {
      const name = aName();
      const [version = ''] = await write(secrets, name, 'one');
      await secrets.updateSecretProperties(name, version, { enabled: false });
      await expect(secrets.getSecret(name)).rejects.toMatchObject({ name: 'RestError' });
      await expect(secrets.getSecret(name, { version })).rejects.toMatchObject({ name: 'RestError' });
      await secrets.updateSecretProperties(name, version, { enabled: true });
      expect((await secrets.getSecret(name)).value).toBe('one');
    });

    states('refuses a disabled version with 403 SecretDisabled', async (secrets) => {
      const name = aName();
      const [version = ''] = await write(secrets, name, 'one');
      await secrets.updateSecretProperties(name, version, { enabled: false });
      await expect(secrets.getSecret(name)).rejects.toMatchObject(refusal(403, 'Forbidden', 'SecretDisabled'));
    });

    states('serves older versions while the current one is disabled, and a new one at once', async (secrets) => {
      const name = aName();
      const [first = '', second = ''] = await write(secrets, name, 'one', 'two');
      await secrets.updateSecretProperties(name, second, { enabled: false });
      expect((await secrets.getSecret(name, { version: first })).value).toBe('one');
      await write(secrets, name, 'three');
      expect((await secrets.getSecret(name)).value).toBe('three');
    });
  });

  describe(`Key Vault contract, ${vault}: lists`, () => {
    states('lists every version with its own fields, disabled ones too, and without values', async (secrets) => {
      const name = aName();
      const first = await secrets.setSecret(name, 'hidden-text', { tags: { a: '1' } });
      const second = await secrets.setSecret(name, 'hidden-text', { tags: { b: '2' } });
      await secrets.updateSecretProperties(name, first.properties.version ?? '', { enabled: false });
      const found = await versionsOf(secrets, name);
      const shown = Object.fromEntries(found.map(({ version, enabled, tags }) => [version, { enabled, tags }]));
      expect(shown).toEqual({
        [first.properties.version ?? '']: { enabled: false, tags: { a: '1' } },
        [second.properties.version ?? '']: { enabled: true, tags: { b: '2' } },
      });
      expect(JSON.stringify(found)).not.toContain('hidden-text');
    });

    states('lists more than a page of versions, each once', async (secrets) => {
      const name = aName();
      const written = await write(secrets, name, ...Array.from({ length: 27 }, (_, index) => `value ${index}`));
      const found = (await versionsOf(secrets, name)).map(({ version }) => version);
      expect(found.toSorted()).toEqual(written.toSorted());
    });

    states('cuts a list into pages of the size asked for', async (secrets) => {
      const name = aName();
      await write(secrets, name, 'one', 'two', 'three');
      const sizes = [];
      const pages = secrets.listPropertiesOfSecretVersions(name).byPage({ maxPageSize: 2 });
      for await (const page of pages) sizes.push(page.length);
      expect(sizes).toEqual([2, 1]);
    });

    states('lists secrets once each, under their names, with the current version’s fields', async (secrets) => {
      const name = aName();
      await secrets.setSecret(name, 'one', { tags: { a: '1' } });
      await secrets.setSecret(name, 'two', { tags: { b: '2' } });
      const found = [];
      for await (const one of secrets.listPropertiesOfSecrets()) if (one.name === name) found.push(one);
      expect(found).toMatchObject([{ name, enabled: true }]);
      expect(found[0]?.tags).toEqual({ b: '2' });
      expect(found[0]?.version ?? '').toBe('');
    });
  });

  describe(`Key Vault contract, ${vault}: soft delete`, () => {
    /** A deleted secret; the deletion is complete. */
    const deleted = async (secrets: SecretClient, { settle }: VaultUnderTest, ...values: string[]) => {
      const name = aName();
      const versions = await write(secrets, name, ...values);
      await secrets.beginDeleteSecret(name, { intervalInMs: 5 });
      await settle();
      return { name, versions };
    };

    states('hides a deleted secret and all its versions', async (secrets, vault) => {
      const { name, versions } = await deleted(secrets, vault, 'one', 'two');
      await expect(secrets.getSecret(name)).rejects.toMatchObject(refusal(404));
      for (const version of versions) {
        await expect(secrets.getSecret(name, { version })).rejects.toMatchObject(refusal(404));
      }
    });

    states('shows it among the deleted ones, with the day of its purge', async (secrets, vault) => {
      const { name } = await deleted(secrets, vault, 'one');
      const { deletedOn, scheduledPurgeDate, recoverableDays, recoveryId } = (await secrets.getDeletedSecret(name))
        .properties;
      expect(recoveryId).toMatch(new RegExp(`/deletedsecrets/${name}$`));
      const keptMs = (scheduledPurgeDate?.getTime() ?? 0) - (deletedOn?.getTime() ?? 0);
      expect(keptMs).toBe((recoverableDays ?? -1) * 86_400_000);
      await expect(secrets.getDeletedSecret(aName())).rejects.toMatchObject(refusal(404));
    });

    states('shows a deleted secret without its value', async (secrets, vault) => {
      const { name } = await deleted(secrets, vault, 'hidden-text');
      expect((await secrets.getDeletedSecret(name)).value).toBeUndefined();
    });

    states('keeps the name of a deleted secret from being written', async (secrets, vault) => {
      const { name } = await deleted(secrets, vault, 'one');
      await expect(secrets.setSecret(name, 'two')).rejects.toMatchObject(refusal(409));
    });

    states('names a held name ObjectIsDeletedButRecoverable', async (secrets, vault) => {
      const { name } = await deleted(secrets, vault, 'one');
      const held = refusal(409, 'Conflict', 'ObjectIsDeletedButRecoverable');
      await expect(secrets.setSecret(name, 'two')).rejects.toMatchObject(held);
    });

    states('recovers all versions, the same one current', async (secrets, vault) => {
      const { name, versions } = await deleted(secrets, vault, 'one', 'two');
      await secrets.beginRecoverDeletedSecret(name, { intervalInMs: 5 });
      await vault.settle();
      expect((await secrets.getSecret(name)).value).toBe('two');
      expect((await secrets.getSecret(name, { version: versions[0] ?? '' })).value).toBe('one');
      await write(secrets, name, 'three');
      expect((await secrets.getSecret(name)).value).toBe('three');
    });

    states('frees the name with a purge, and none of the old versions comes back', async (secrets, vault) => {
      const { name, versions } = await deleted(secrets, vault, 'one');
      await secrets.purgeDeletedSecret(name);
      await vault.settle();
      await write(secrets, name, 'two');
      const old = secrets.getSecret(name, { version: versions[0] ?? '' });
      await expect(old).rejects.toMatchObject(refusal(404));
    });

    states('answers 404 when what should be deleted, recovered or purged is not there', async (secrets) => {
      await expect(secrets.beginDeleteSecret(aName())).rejects.toMatchObject(refusal(404));
      await expect(secrets.beginRecoverDeletedSecret(aName())).rejects.toMatchObject(refusal(404));
      await expect(secrets.purgeDeletedSecret(aName())).rejects.toMatchObject(refusal(404));
    });
  });

  if (Object.keys(deviations).length > 0) {
    it(`Key Vault contract, ${vault}: every deviation that is listed names a statement`, () => {
      expect(Object.keys(deviations).filter((title) => !titles.has(title))).toEqual([]);
    });
  }
}
