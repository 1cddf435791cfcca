import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SignIn } from '../../../src/rotation/ports.ts';

/** Entra, in memory or real, with an application whose passwords the test makes. */
export interface SignInUnderTest {
  signIn: SignIn;
  principal: { tenantId: string; clientId: string };
  /** Makes a password; the replicas learn of it one by one. */
  make(lifetimeSeconds: number): Promise<{ keyId: string; text: string }>;
  remove(keyId: string): Promise<void>;
  /** Moves the time ahead. */
  advance(seconds: number): Promise<void>;
  /** Until the last replica knows a change. At least 3, so that the first sign-ins fall before it. */
  propagationSeconds: number;
  stop?(): Promise<void>;
}

const DAY_SECONDS = 86_400;
/** Enough to reach every replica. */
const TRIES = 12;

/** Every statement of the port `SignIn`, for any implementation of it. `start` is called once. */
export function describeSignInContract(name: string, start: () => Promise<SignInUnderTest>): void {
  describe(`${name} as SignIn`, () => {
    let subject: SignInUnderTest;
    beforeAll(async () => {
      subject = await start();
    });
    afterAll(() => subject?.stop?.());

    /** The outcomes of many sign-ins, each named once. */
    const outcomes = async (text: string) => {
      const seen = new Set<string>();
      for (let tries = 0; tries < TRIES; tries++) seen.add(await subject.signIn(subject.principal, text));
      return [...seen].toSorted();
    };
    const settle = () => subject.advance(subject.propagationSeconds + 1);

    it('R1: signs in with a password that every replica knows, at every try', async () => {
      const { text } = await subject.make(DAY_SECONDS);
      await settle();
      expect(await outcomes(text)).toEqual(['signed_in']);
    });

    it('R1: does not know a new password at every replica yet: one success proves nothing', async () => {
      const { text } = await subject.make(DAY_SECONDS);
      const seen: string[][] = [await outcomes(text)];
      for (let steps = 0; steps < 10; steps++) {
        await subject.advance(subject.propagationSeconds / 10);
        seen.push(await outcomes(text));
      }
      expect(seen).toContainEqual(['signed_in', 'unknown']);
      await settle();
      expect(await outcomes(text)).toEqual(['signed_in']);
    });

    it('does not know a text that was never a password, nor an empty one', async () => {
      expect(await outcomes('never-a-password~._-+/=&%')).toEqual(['unknown']);
      expect(await outcomes('')).toEqual(['unknown']);
    });

    it('does not know a password that was removed', async () => {
      const { keyId, text } = await subject.make(DAY_SECONDS);
      await settle();
      await subject.remove(keyId);
      await settle();
      expect(await outcomes(text)).toEqual(['unknown']);
    });

    it('tells a password that has expired from one that is unknown', async () => {
      const { text } = await subject.make(subject.propagationSeconds + 60);
      await settle();
      expect(await outcomes(text)).toEqual(['signed_in']);
      await subject.advance(60);
      expect(await outcomes(text)).toEqual(['expired']);
    });
  });
}
