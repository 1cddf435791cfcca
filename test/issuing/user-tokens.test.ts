import { describe, expect, it } from 'vitest';
import type { Caller } from '../../src/callers/caller.ts';
import { UserAssertion } from '../../src/callers/user-assertion.ts';
import { createSecondLook } from '../../src/issuing/second-look.ts';
import { createUserTokens } from '../../src/issuing/user-tokens.ts';
import { aCaller, aJwt, tenantId, upstream } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';
import { createDeferred, rejectionOf, settle } from '../support/ports.ts';

const AML = 'https://ml.azure.com/.default';
const ARM = 'https://management.azure.com/.default';
const clientId = 'b0000000-0000-4000-8000-000000000001';

/** Entra on behalf of users: the token says whose assertion it was made from. */
function setUp() {
  const time = createMovableClock();
  const calls: string[] = [];
  const entra = {
    fault: undefined as Error | undefined,
    before: async (): Promise<unknown> => undefined,
    lifeSeconds: 3600,
    /** Whose token is returned; by default that of the user whose assertion was sent. */
    mixUp: (oid: string) => oid,
  };
  const identity = { use: 'issue', onBehalfOf: { tenantId, clientId, managedIdentity: {} } } as const;
  const userToken = createUserTokens({
    identities: ['user', 'user-too'],
    lookAgain: createSecondLook({ identities: { user: identity, 'user-too': identity }, audiences: {} }),
    clock: time.clock,
    async obtain(name, scope, assertion) {
      calls.push(`${name} ${scope} ${assertion.reveal()}`);
      await entra.before();
      if (entra.fault !== undefined) throw entra.fault;
      const oid = entra.mixUp(assertion.reveal().split(' ')[0] ?? '');
      return {
        accessToken: aJwt({ oid, tid: tenantId, appid: clientId, scp: 'x', uti: `${calls.length}` }),
        expiresOn: time.in(entra.lifeSeconds),
        refreshBy: undefined,
      };
    },
  });
  const aUser = (objectId: string, token = `${objectId} token`, lifeSeconds = 5400): Caller =>
    aCaller({ class: 'user', objectId, expiresOn: time.in(lifeSeconds), assertion: new UserAssertion(token) });
  return { time, calls, entra, userToken, aUser };
}

describe('tokens in users’ names', () => {
  it('P3: answer the very assertion that they were obtained with, and no other', async () => {
    const { userToken, aUser, calls } = setUp();
    const first = await userToken('user', AML, aUser('anna'));
    expect(await userToken('user', AML, aUser('anna'))).toEqual(first);
    expect(calls).toHaveLength(1);
    const others = [
      await userToken('user', AML, aUser('bert')),
      await userToken('user', AML, aUser('anna', 'anna token after a step-up')),
      await userToken('user', ARM, aUser('anna')),
      await userToken('user-too', AML, aUser('anna')),
    ].map(({ accessToken }) => accessToken);
    expect(new Set([first.accessToken, ...others])).toHaveLength(5);
    expect(calls).toHaveLength(5);
  });

  it('P3: one user’s never reaches another of two who ask at once, again and again', async () => {
    const { userToken, aUser, entra } = setUp();
    const gate = createDeferred();
    entra.before = () => gate.promise;
    const users = Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? 'anna' : 'bert'));
    const asked = users.map((name) => userToken('user', AML, aUser(name)));
    await settle();
    gate.resolve();
    const tokens = await Promise.all(asked);
    const owners = tokens.map(({ accessToken }) => {
      const payload: unknown = JSON.parse(Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString());
      return payload;
    });
    expect(owners).toEqual(users.map((oid) => expect.objectContaining({ oid })));
  });

  it('P5: one request is in flight for the same assertion', async () => {
    const { userToken, aUser, calls } = setUp();
    await Promise.all(Array.from({ length: 10 }, () => userToken('user', AML, aUser('anna'))));
    expect(calls).toHaveLength(1);
  });

  it('P3: a token for another user than the caller is handed to nobody, and not kept', async () => {
    const { userToken, aUser, entra, calls } = setUp();
    entra.mixUp = () => 'bert';
    expect(await rejectionOf(userToken('user', AML, aUser('anna')))).toMatchObject({
      code: 'unexpected_upstream_answer',
      reason: 'token_is_for_another: another_user',
    });
    entra.mixUp = (oid) => oid;
    await userToken('user', AML, aUser('anna'));
    expect(calls).toHaveLength(2);
  });

  it('P3: are not renewed ahead of time, and end half a minute before their end', async () => {
    const { userToken, aUser, time, calls } = setUp();
    const anna = aUser('anna');
    const first = await userToken('user', AML, anna);
    expect(first.refreshBy).toEqual(time.in(1800));
    time.advance(3569.999);
    expect(await userToken('user', AML, anna)).toEqual(first);
    time.advance(0.001);
    await userToken('user', AML, anna);
    expect(calls).toHaveLength(2);
  });

  it('P3: are dropped when the user’s own token ends', async () => {
    const { userToken, aUser, time, calls } = setUp();
    const anna = aUser('anna', 'anna token', 600);
    await userToken('user', AML, anna);
    time.advance(599);
    await userToken('user', AML, anna);
    expect(calls).toHaveLength(1);
    time.advance(1);
    await userToken('user', AML, anna);
    expect(calls).toHaveLength(2);
  });

  it('P7: a failure is told as it is, and forgotten', async () => {
    const { userToken, aUser, entra } = setUp();
    entra.fault = upstream('step_up_required', { claims: '{}' });
    expect(await rejectionOf(userToken('user', AML, aUser('anna')))).toBe(entra.fault);
    entra.fault = undefined;
    await expect(userToken('user', AML, aUser('anna'))).resolves.toHaveProperty('accessToken');
  });

  it('P3: a token that has already expired is handed to nobody', async () => {
    const { userToken, aUser, entra } = setUp();
    entra.lifeSeconds = 0;
    expect(await rejectionOf(userToken('user', AML, aUser('anna')))).toMatchObject({
      code: 'unexpected_upstream_answer',
    });
  });

  it.each(['trainer', '', '__proto__'])(
    'P3: the identity %j, which does not act for users, is refused',
    async (name) => {
      const { userToken, aUser, calls } = setUp();
      expect(await rejectionOf(userToken(name, AML, aUser('anna')))).toMatchObject({ code: 'internal_error' });
      expect(calls).toEqual([]);
    },
  );

  it.each<[string, Caller]>([
    ['an app, even with a token in hand', aCaller({ assertion: new UserAssertion('app token') })],
    ['a user whose token is not at hand', aCaller({ class: 'user' })],
  ])('P3: nobody is acted for: %s', async (_who, caller) => {
    const { userToken, calls } = setUp();
    expect(await rejectionOf(userToken('user', AML, caller))).toMatchObject({ code: 'internal_error' });
    expect(calls).toEqual([]);
  });

  it('are bounded: the oldest of more than a thousand is dropped', async () => {
    const { userToken, aUser, calls } = setUp();
    for (let index = 0; index <= 1000; index++) await userToken('user', AML, aUser(`user-${index}`));
    await userToken('user', AML, aUser('user-1000'));
    expect(calls).toHaveLength(1001);
    await userToken('user', AML, aUser('user-0'));
    expect(calls).toHaveLength(1002);
  });
});
