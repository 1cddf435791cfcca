import { TableClient, TableServiceClient } from '@azure/data-tables';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FEDERATION_IDENTITY } from '../../sandbox/seed.ts';
import { startTestBroker, type TestBroker } from '../support/broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await startTestBroker();
});
afterAll(() => broker?.stop());

/** Everything that two table accounts hold, as one text, read with a token as the broker reads it. */
async function dumpTables(url: string): Promise<string> {
  const token = await broker.sandbox.identityToken('https://storage.azure.com');
  const credential = { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3_600_000 }) };
  const rows: unknown[] = [];
  for await (const { name = '' } of new TableServiceClient(url, credential).listTables()) {
    for await (const row of new TableClient(url, name, credential).listEntities()) rows.push({ name, ...row });
  }
  return JSON.stringify(rows);
}

it('P2: no token, secret, key or assertion reaches a log, an error or a table in clear text', async () => {
  const token = await broker.sandbox.callerToken();
  const post = (route: string, body: unknown = {}) => broker.post(route, { token, body });
  const secrets = new Map<string, string>([['caller token', token]]);
  const keep = (name: string, value: unknown) => secrets.set(name, String(value));

  const exchange = (more: Record<string, string> = {}) =>
    broker.post('/oauth2/token', {
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: token,
        subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        resource: 'https://localhost/workspaces/prod/endpoints/fraud-aml',
        ...more,
      }).toString(),
    });

  keep('exchanged token', (await exchange()).body.access_token);
  keep('client secret', 'a-client-secret-that-a-client-sent');
  keep('endpoint token', (await post('/workspaces/prod/endpoints/fraud-aml/token')).body.accessToken);
  keep('endpoint key', (await post('/workspaces/prod/endpoints/fraud-scorer/key')).body.key);
  keep('service principal token', (await post('/workspaces/prod/token')).body.accessToken);
  keep('managed identity token', (await post('/workspaces/dev/token')).body.accessToken);
  const person = await broker.sandbox.callerToken({ class: 'user' });
  keep('user’s own token', person);
  keep('token in the user’s name', (await broker.post('/workspaces/prod/token', { token: person })).body.accessToken);
  const deploys = await broker.sandbox.callerToken({ oid: crypto.randomUUID(), roles: ['Deploy'] });
  keep('federated token', (await broker.post('/workspaces/prod/token', { token: deploys })).body.accessToken);
  const { clientId } = FEDERATION_IDENTITY;
  keep('client assertion', await broker.sandbox.identityToken('api://AzureADTokenExchange', clientId));
  const vaultToken = await broker.sandbox.identityToken('https://vault.azure.net');
  for (const name of ['trainer-password', 'token-cache-key']) {
    const secret: unknown = await (
      await fetch(`${broker.sandbox.endpoints.keyVault}/secrets/${name}?api-version=7.6`, {
        headers: { Authorization: `Bearer ${vaultToken}` },
      })
    ).json();
    keep(name, typeof secret === 'object' && secret !== null && 'value' in secret ? secret.value : undefined);
  }
  const shown = [await dumpTables(broker.sandbox.endpoints.tables)];
  expect(shown[0]).toContain('sealed');
  expect([...secrets.values()].every((value) => value.length >= 20 && value !== 'undefined')).toBe(true);

  // Then everything that goes wrong, because that is where texts leak.
  const answers = [
    await post('/workspaces/prod/token', { minRemaining: 7200 }),
    await broker.post('/workspaces/prod/token', { token: `${token}x` }),
    await broker.post(`/workspaces/prod/token?access_token=${token}`, { token }),
    await broker.post('/workspaces/prod/token', { token, body: `{"token":"${token}"}` }),
    await exchange({ client_secret: 'a-client-secret-that-a-client-sent' }),
    await exchange({ actor_token: token }),
    await exchange({ subject_token: `${token}x` }),
    await exchange({ resource: token }),
    await exchange({ [token]: token, scope: token }),
  ];
  for (const service of ['arm', 'keyVault', 'entra', 'managedIdentity', 'tables', 'audit']) {
    await broker.fault({ service, status: 500 });
    const fresh = await broker.anotherInstance();
    answers.push(
      await fresh.post('/workspaces/prod/endpoints/fraud-aml/token', { token }),
      await fresh.post('/workspaces/prod/token', { token }),
      await fresh.post('/workspaces/prod/token', { token: person }),
      await fresh.post('/workspaces/prod/token', { token: deploys }),
    );
    answers.push(await post('/workspaces/prod/endpoints/fraud-scorer/key'));
    await broker.clearFaults();
    answers.push({ ...answers[0], status: 0, headers: new Headers(), body: {}, text: fresh.host.output() });
    await fresh.stop();
  }
  await broker.fire('refreshEndpointTokens');

  for (const [index, { body }] of answers.entries()) {
    for (const credential of [body.accessToken, body.access_token, body.key])
      if (credential !== undefined) keep(`answer ${index}`, credential);
  }

  shown.push(
    broker.host.output(),
    await dumpTables(broker.sandbox.endpoints.tables),
    await dumpTables(broker.sandbox.endpoints.audit),
    ...answers.filter(({ status }) => status !== 200).map(({ text }) => text),
  );
  expect(shown.join()).toContain('tokenSha256');
  for (const [name, value] of secrets) {
    // The header of a JWT is no secret: all tokens signed with one key share it.
    const parts = value.startsWith('eyJ') ? value.split('.').slice(1) : [value];
    const leaked = parts.filter((part) => shown.some((text) => text.includes(part.slice(0, 100))));
    expect([name, leaked.length]).toEqual([name, 0]);
  }
});
