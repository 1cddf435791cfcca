import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addSeconds, type Clock, secondsBetween } from '../../../src/clock.ts';
import { markOf } from '../../../src/rotation/facts.ts';
import type { Applications } from '../../../src/rotation/ports.ts';
import { foundIn } from './found-in.ts';

/** One directory, in memory or real, with an application that the broker owns. */
export interface ApplicationsUnderTest {
  applications: Applications;
  objectId: string;
  appId: string;
  unknownObjectId: string;
  /** Graph's own time. */
  clock: Clock;
  /** Comes back when every read shows every write. */
  settle(): Promise<void>;
  stop?(): Promise<void>;
}

/** An id that no password has. */
const NO_PASSWORD = '00000000-0000-4000-8000-0000000000ff';

/** Every statement of the port `Applications`, for any implementation of it. `start` is called once. */
export function describeApplicationsContract(name: string, start: () => Promise<ApplicationsUnderTest>): void {
  describe(`${name} as Applications`, () => {
    let subject: ApplicationsUnderTest;
    let count = 0;
    beforeAll(async () => {
      subject = await start();
    });
    afterAll(() => subject?.stop?.());

    const read = async () => foundIn(await subject.applications.read(subject.objectId));
    const listed = async () => (await read()).passwords.map(({ keyId }) => keyId);

    const aName = () => {
      count += 1;
      return `${markOf('contract')}${count}`;
    };

    /** A password with an end in whole seconds. */
    const add = async (displayName = aName()) => {
      const endsOn = new Date(Math.floor(addSeconds(subject.clock(), 86_400).getTime() / 1000) * 1000);
      const answer = await subject.applications.addPassword(subject.objectId, { displayName, endsOn });
      if (typeof answer === 'string') throw new Error(`addPassword was refused: ${answer}.`);
      return { ...answer, displayName, endsOn };
    };

    it('tells the client id of an application, so that a wrong object id is noticed', async () => {
      expect((await read()).appId).toBe(subject.appId);
    });

    it('has not found an object id that nothing has', async () => {
      expect(await subject.applications.read(subject.unknownObjectId)).toEqual({ kind: 'not_found' });
    });

    it('makes a password of the name and end that were asked for, and shows its text this once', async () => {
      const { made, secretText, displayName, endsOn } = await add();
      expect(made).toEqual({
        keyId: expect.stringMatching(/./),
        displayName,
        startsOn: expect.any(Date),
        endsOn,
      });
      expect(Math.abs(secondsBetween(made.startsOn, subject.clock()))).toBeLessThan(5);
      expect(secretText).toMatch(/.{8,}/);
      await subject.settle();
      const shown = await read();
      expect(shown.passwords).toContainEqual(made);
      expect(JSON.stringify(shown)).not.toContain(secretText);
    });

    it('is not idempotent: the same name again is another password', async () => {
      const first = await add();
      const second = await add(first.displayName);
      expect(second.made.keyId).not.toBe(first.made.keyId);
      expect(second.secretText).not.toBe(first.secretText);
      await subject.settle();
      const named = (await read()).passwords.filter(({ displayName }) => displayName === first.displayName);
      expect(named.map(({ keyId }) => keyId).toSorted()).toEqual([first.made.keyId, second.made.keyId].toSorted());
    });

    it('shows, while reads lag, what was there before or what is there now, and nothing else', async () => {
      await subject.settle();
      const before = await listed();
      const { made } = await add();
      const after = [...before, made.keyId].toSorted();
      for (let reads = 0; reads < 5; reads++)
        expect([before.toSorted(), after]).toContainEqual((await listed()).toSorted());
      await subject.settle();
      expect((await listed()).toSorted()).toEqual(after);
    });

    it('R3: removes one password and no other', async () => {
      const [goes, stays] = [await add(), await add()];
      await subject.settle();
      await subject.applications.removePassword(subject.objectId, goes.made.keyId);
      await subject.settle();
      const shown = await listed();
      expect(shown).not.toContain(goes.made.keyId);
      expect(shown).toContain(stays.made.keyId);
    });

    it('counts a password that is gone, or never was, as removed', async () => {
      const { made } = await add();
      await subject.settle();
      await subject.applications.removePassword(subject.objectId, made.keyId);
      await expect(subject.applications.removePassword(subject.objectId, made.keyId)).resolves.toBeUndefined();
      await expect(subject.applications.removePassword(subject.objectId, NO_PASSWORD)).resolves.toBeUndefined();
    });

    it('does not write to an application that is not there', async () => {
      const { unknownObjectId } = subject;
      const wanted = { displayName: aName(), endsOn: addSeconds(subject.clock(), 86_400) };
      const missing = { name: 'UpstreamError', kind: 'not_found' };
      await expect(subject.applications.addPassword(unknownObjectId, wanted)).rejects.toMatchObject(missing);
      await expect(subject.applications.removePassword(unknownObjectId, NO_PASSWORD)).rejects.toMatchObject(missing);
    });
  });
}
