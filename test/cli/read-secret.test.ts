import { describe, expect, it } from 'vitest';
import { checkCloud } from '../../src/cli/check-cloud.ts';
import { fromFile, fromVariables } from '../../src/cli/read-secret.ts';
import { parseSettingsFile } from '../../src/cli/settings-file.ts';
import { clouds } from '../../src/config/clouds.ts';

const tenantId = '11111111-1111-4111-8111-111111111111';
const clientId = 'd0000000-0000-4000-8000-000000000001';
const secretText = 'Kx18Q~notForAnybodyToSee';

const authJson = {
  clientId,
  clientSecret: secretText,
  subscriptionId: '00000000-0000-4000-8000-00000000000a',
  tenantId,
  activeDirectoryEndpointUrl: 'https://login.chinacloudapi.cn',
  resourceManagerEndpointUrl: 'https://management.chinacloudapi.cn',
};
const azure = { AZURE_TENANT_ID: tenantId, AZURE_CLIENT_ID: clientId, AZURE_CLIENT_SECRET: secretText };
const aml = { AML_TENANT_ID: tenantId, AML_PRINCIPAL_ID: clientId, AML_PRINCIPAL_PASS: secretText };

const toBytes = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value, null, 2));
const read = (value: unknown) => fromFile(toBytes(value), 'any');
const same = { tenantId, clientId, secretText };

function refusal(act: () => unknown): { message: string; exitCode: unknown } {
  try {
    act();
  } catch (error) {
    if (error instanceof Error) return { message: error.message, exitCode: Reflect.get(error, 'exitCode') };
  }
  throw new Error('was not refused');
}

describe('a file with a secret', () => {
  it('may be what az ad sp create-for-rbac --json-auth or --sdk-auth printed, of any cloud', () => {
    expect(read(authJson)).toEqual({ ...same, displayName: undefined, authorityUrl: 'https://login.chinacloudapi.cn' });
  });

  it('may be what the same command prints without that option', () => {
    const plain = { appId: clientId.toUpperCase(), displayName: 'ci', password: secretText, tenant: tenantId };
    expect(read(plain)).toEqual({ ...same, displayName: 'ci', authorityUrl: undefined });
  });

  it('may be UTF-16, as PowerShell’s > writes it, or begin with a byte order mark', () => {
    const text = JSON.stringify(authJson);
    expect(fromFile(Buffer.from(`\ufeff${text}`, 'utf16le'), 'any')).toMatchObject(same);
    expect(fromFile(Buffer.from(`\ufeff${text}`), 'any')).toMatchObject(same);
  });

  it('may be a .env file with the variables of Azure or of old Azure ML samples', () => {
    const lines = (values: object) =>
      Object.entries(values)
        .map(([name, value]) => `${name}="${value}"`)
        .join('\n');
    expect(read(`# local\n${lines(azure)}\n`)).toMatchObject(same);
    expect(read(lines(aml))).toMatchObject(same);
    expect(read(`AZURE_CREDENTIALS='${JSON.stringify(authJson)}'`)).toMatchObject(same);
  });

  it.each([
    ['half of JSON', `{ "clientSecret": "${secretText}"`, 'begins like JSON'],
    ['a missing field', { ...authJson, tenantId: undefined }, 'tenantId: is missing'],
    ['an id that is none', { ...authJson, clientId: secretText }, 'clientId: must be a GUID'],
    ['an empty secret', { ...authJson, clientSecret: '' }, 'clientSecret: is empty'],
    ['a secret that is no text', { ...authJson, clientSecret: { a: secretText } }, 'clientSecret: is missing'],
    ['a certificate', { clientId, tenantId, clientCertificate: secretText }, 'holds a certificate'],
    ['variables without ids', `AZURE_CLIENT_SECRET=${secretText}`, 'AZURE_TENANT_ID: is missing'],
    ['something else', `hello ${secretText}`, 'holds no secret'],
    ['nothing', '', 'holds no secret'],
  ])('is refused with %s, without a word of its contents', (_, contents, why) => {
    const { message, exitCode } = refusal(() => read(contents));
    expect(message).toContain(why);
    expect(message).not.toContain(secretText);
    expect(exitCode).toBe(2);
  });
});

describe('variables with a secret', () => {
  it('name the authority where AZURE_AUTHORITY_HOST does', () => {
    const env = { ...azure, AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.us' };
    expect(fromVariables(env, 'The environment')?.authorityUrl).toBe('https://login.microsoftonline.us');
  });

  it('are none without the secret: other tools use the ids too', () => {
    expect(fromVariables({ AZURE_CLIENT_ID: clientId, AZURE_TENANT_ID: 'x' }, 'The environment')).toBeUndefined();
  });

  it('may say the same twice, and are refused when they name two secrets', () => {
    expect(fromVariables({ ...azure, ...aml }, 'The environment')).toMatchObject(same);
    expect(() => fromVariables({ ...azure, ...aml, AML_PRINCIPAL_PASS: 'other' }, 'The environment')).toThrow(
      'two different secrets',
    );
  });
});

describe('the cloud of a secret', () => {
  it.each([
    ['https://login.microsoftonline.com', 'public'],
    ['https://login.microsoftonline.com/', 'public'],
    ['https://login.windows.net', 'public'],
    ['https://login.chinacloudapi.cn', 'china'],
    ['https://login.partner.microsoftonline.cn', 'china'],
    ['login.microsoftonline.us', 'usgovernment'],
  ] as const)('%s is accepted in %s and refused elsewhere', (url, cloud) => {
    expect(() => checkCloud(url, clouds[cloud])).not.toThrow();
    const other = cloud === 'public' ? 'usgovernment' : 'public';
    expect(() => checkCloud(url, clouds[other])).toThrow(`of the cloud ${cloud}, and AZURE_CLOUD is ${other}`);
  });

  it('is refused where nobody knows it, and not asked for where the authority is a setting or nothing says it', () => {
    expect(() => checkCloud('https://login.microsoftonline.de', clouds.public)).toThrow('does not know');
    const custom = { ...clouds.public, authorityHost: 'https://localhost:7081' };
    expect(() => checkCloud('https://login.microsoftonline.de', custom)).not.toThrow();
    expect(() => checkCloud(undefined, clouds.china)).not.toThrow();
  });
});

describe('a settings file', () => {
  it('gives its Values', () => {
    expect(parseSettingsFile('{"IsEncrypted":false,"Values":{"A":"1"},"Host":{}}', 'It')).toEqual({ A: '1' });
  });

  it.each([
    ['no JSON', 'A=1', 'no Functions settings file'],
    ['values that are no texts', '{"Values":{"A":1}}', 'no Functions settings file'],
    ['encrypted values', '{"IsEncrypted":true,"Values":{}}', 'func settings decrypt'],
  ])('is refused with %s', (_, text, why) => {
    expect(() => parseSettingsFile(text, 'It')).toThrow(why);
  });
});
