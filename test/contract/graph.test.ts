import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BROKER_API, READER_IDENTITY, TENANT_ID, TRAINER, TRAINER_ROTATION } from '../../sandbox/seed.ts';
import { startTestSandbox, type TestSandbox } from '../support/sandbox.ts';

const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const application = `/v1.0/applications/${TRAINER.objectId}`;
const propagationSeconds = 5;

let sandbox: TestSandbox;
let token: string;

beforeAll(async () => {
  sandbox = await startTestSandbox({ SANDBOX_PROPAGATION_SECONDS: String(propagationSeconds) });
  token = await sandbox.identityToken('https://graph.microsoft.com');
});
afterAll(() => sandbox.stop());
beforeEach(() => sandbox.advance(propagationSeconds));

function call(method: string, path: string, body?: unknown, bearer = token) {
  return fetch(`${sandbox.endpoints.graph}${path}`, {
    method,
    headers: { Authorization: `Bearer ${bearer}`, 'Content-Type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

async function jsonOf(response: Response) {
  return JSON.parse(await response.text());
}

async function refusalOf(response: Response) {
  return [response.status, (await jsonOf(response)).error.code];
}

async function shownKeyIds(): Promise<string[]> {
  const { passwordCredentials } = await jsonOf(await call('GET', application));
  return passwordCredentials.map(({ keyId }: { keyId: string }) => keyId);
}

describe('reading an application', () => {
  it('shows it by object id, its passwords without their text', async () => {
    const response = await call('GET', application);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain('odata.metadata=minimal');
    expect(response.headers.get('x-ms-resource-unit')).toBe('1');
    expect(response.headers.get('request-id')).toMatch(guid);
    const body = await jsonOf(response);
    expect(body).toMatchObject({ id: TRAINER.objectId, appId: TRAINER.appId, displayName: 'trainer' });
    expect(body.passwordCredentials).toEqual([
      {
        customKeyIdentifier: null,
        displayName: TRAINER_ROTATION.displayName,
        endDateTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
        hint: expect.stringMatching(/^.{3}$/),
        keyId: expect.stringMatching(guid),
        secretText: null,
        startDateTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      },
    ]);
  });

  it('shows the selected properties only', async () => {
    const body = await jsonOf(await call('GET', `${application}?$select=id,passwordCredentials`));
    expect(Object.keys(body).toSorted()).toEqual(['@odata.context', 'id', 'passwordCredentials']);
  });

  it('finds it by application id, in the path and by filter', async () => {
    const direct = await jsonOf(await call('GET', `/v1.0/applications(appId='${TRAINER.appId}')`));
    expect(direct.id).toBe(TRAINER.objectId);
    const filter = encodeURIComponent(`appId eq '${TRAINER.appId}'`);
    const response = await call('GET', `/v1.0/applications?$filter=${filter}`);
    expect(response.headers.get('x-ms-resource-unit')).toBe('2');
    expect((await jsonOf(response)).value).toHaveLength(1);
  });

  it('answers 404 for an application id in the place of the object id', async () => {
    const response = await call('GET', `/v1.0/applications/${TRAINER.appId}`);
    expect(await refusalOf(response)).toEqual([404, 'Request_ResourceNotFound']);
  });
});

describe('addPassword', () => {
  it('shows the new text once, with dates as asked', async () => {
    const passwordCredential = {
      displayName: 'aml-token-broker/trainer/1',
      startDateTime: '2026-11-22T00:00:00Z',
      endDateTime: '2027-02-20T00:00:00Z',
    };
    const response = await call('POST', `${application}/addPassword`, { passwordCredential });
    expect(response.status).toBe(200);
    expect(response.headers.get('location')).toBe(sandbox.endpoints.graph);
    const body = await jsonOf(response);
    expect(body).toEqual({
      '@odata.context': `${sandbox.endpoints.graph}/v1.0/$metadata#microsoft.graph.passwordCredential`,
      customKeyIdentifier: null,
      ...passwordCredential,
      hint: body.secretText.slice(0, 3),
      keyId: expect.stringMatching(guid),
      secretText: expect.stringMatching(/^[\w~.-]{40}$/),
    });
  });

  it('gives two years and 7 fraction digits when the service chooses the dates', async () => {
    const body = await jsonOf(await call('POST', `${application}/addPassword`, {}));
    expect(body.displayName).toBeNull();
    expect(body.startDateTime).toMatch(/^[^.]+(\.\d{7})?Z$/);
    expect(Number(body.endDateTime.slice(0, 4)) - Number(body.startDateTime.slice(0, 4))).toBe(2);
  });

  it('is not idempotent: two calls make two passwords, the newest listed first', async () => {
    const first = await jsonOf(await call('POST', `${application}/addPassword`, {}));
    const second = await jsonOf(await call('POST', `${application}/addPassword`, {}));
    sandbox.advance(propagationSeconds);
    expect((await shownKeyIds()).slice(0, 2)).toEqual([second.keyId, first.keyId]);
  });

  it('is shown by reads only after the propagation time', async () => {
    const { keyId } = await jsonOf(await call('POST', `${application}/addPassword`, {}));
    expect(await shownKeyIds()).not.toContain(keyId);
    sandbox.advance(propagationSeconds);
    expect(await shownKeyIds()).toContain(keyId);
  });

  it('makes a password that signs in once it is known everywhere', async () => {
    const { secretText } = await jsonOf(await call('POST', `${application}/addPassword`, {}));
    sandbox.advance(propagationSeconds);
    const form = {
      grant_type: 'client_credentials',
      client_id: TRAINER.appId,
      client_secret: secretText,
      scope: 'https://management.azure.com/.default',
    };
    const url = `${sandbox.endpoints.entra}/${TENANT_ID}/oauth2/v2.0/token`;
    expect((await fetch(url, { method: 'POST', body: new URLSearchParams(form) })).status).toBe(200);
  });

  it.each([
    ['an empty body', undefined],
    ['a body that is no object', 'text'],
    ['an end before the start', { passwordCredential: { endDateTime: '2020-01-01T00:00:00Z' } }],
    ['a date that is none', { passwordCredential: { endDateTime: 'tomorrow' } }],
  ])('refuses %s', async (_case, body) => {
    const response = await call('POST', `${application}/addPassword`, body);
    expect(await refusalOf(response)).toEqual([400, 'Request_BadRequest']);
  });
});

describe('removePassword', () => {
  it('answers 204 without a body, and 400 for the same key afterwards', async () => {
    const { keyId } = await jsonOf(await call('POST', `${application}/addPassword`, {}));
    sandbox.advance(propagationSeconds);
    const response = await call('POST', `${application}/removePassword`, { keyId });
    expect(response.status).toBe(204);
    expect(await response.text()).toBe('');
    const again = await call('POST', `${application}/removePassword`, { keyId });
    const body = await jsonOf(again);
    expect([again.status, body.error.code]).toEqual([400, 'Request_BadRequest']);
    expect(body.error.message).toBe(`No password credential found with keyId ${keyId}.`);
  });

  it('does not find a password that was added a moment ago', async () => {
    const { keyId } = await jsonOf(await call('POST', `${application}/addPassword`, {}));
    const response = await call('POST', `${application}/removePassword`, { keyId });
    expect(await refusalOf(response)).toEqual([400, 'Request_BadRequest']);
  });

  it('is shown by reads only after the propagation time', async () => {
    const { keyId } = await jsonOf(await call('POST', `${application}/addPassword`, {}));
    sandbox.advance(propagationSeconds);
    await call('POST', `${application}/removePassword`, { keyId });
    expect(await shownKeyIds()).toContain(keyId);
    sandbox.advance(propagationSeconds);
    expect(await shownKeyIds()).not.toContain(keyId);
  });
});

describe('federatedIdentityCredentials', () => {
  const credential = {
    name: 'Testing',
    issuer: 'https://token.actions.githubusercontent.com/',
    subject: 'repo:octo-org/octo-repo:environment:Production',
    description: 'Testing',
    audiences: ['api://AzureADTokenExchange'],
  };

  it('answers 201 with the credential and its new id, and 409 for the same name again', async () => {
    const response = await call('POST', `${application}/federatedIdentityCredentials`, credential);
    expect(response.status).toBe(201);
    expect(await jsonOf(response)).toMatchObject({ ...credential, id: expect.stringMatching(guid) });
    const again = await call('POST', `${application}/federatedIdentityCredentials`, credential);
    expect(await refusalOf(again)).toEqual([409, 'Request_MultipleObjectsWithSameKeyValue']);
  });
});

describe('rights', () => {
  it('refuses a missing token and one for another API with 401', async () => {
    const missing = await fetch(`${sandbox.endpoints.graph}${application}`);
    expect(await refusalOf(missing)).toEqual([401, 'InvalidAuthenticationToken']);
    const armToken = await sandbox.identityToken('https://management.azure.com');
    const other = await call('GET', application, undefined, armToken);
    expect(await refusalOf(other)).toEqual([401, 'InvalidAuthenticationToken']);
  });

  it('refuses an identity without the permission, before it looks at the request', async () => {
    const reader = await sandbox.identityToken('https://graph.microsoft.com', READER_IDENTITY.clientId);
    const response = await call('GET', '/v1.0/applications?$filter=startswith(displayName,%27x%27)', undefined, reader);
    expect(response.headers.get('x-ms-resource-unit')).toBe('2');
    const { error } = await jsonOf(response);
    expect([response.status, error.code]).toEqual([403, 'Authorization_RequestDenied']);
    expect(error.message).toBe('Insufficient privileges to complete the operation.');
    expect(error.innerError['request-id']).toMatch(guid);
  });

  it('refuses an application that the caller does not own', async () => {
    const response = await call('POST', `/v1.0/applications(appId='${BROKER_API.appId}')/addPassword`, {});
    expect(await refusalOf(response)).toEqual([403, 'Authorization_RequestDenied']);
  });

  it('refuses the former owner', async () => {
    await sandbox.control('POST', '/operations/drop-owner', { application: TRAINER.objectId });
    const response = await call('POST', `${application}/addPassword`, {});
    expect(await refusalOf(response)).toEqual([403, 'Authorization_RequestDenied']);
  });
});
