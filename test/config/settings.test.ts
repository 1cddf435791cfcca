import { describe, expect, it } from 'vitest';
import { clouds } from '../../src/config/clouds.ts';
import { parseSettings } from '../../src/config/settings.ts';

const least = {
  PUBLIC_URL: 'https://broker.example.com',
  KEY_VAULT_URL: 'https://vault.example.com',
  TOKEN_STORE_URL: 'https://tokens.example.com',
  AUDIT_STORE_URLS: 'https://audit.example.com',
};

const custom = {
  ...least,
  AZURE_CLOUD: 'custom',
  ENTRA_URL: 'https://localhost:7081',
  ARM_URL: 'https://localhost:7084',
  GRAPH_URL: 'https://localhost:7085',
};

const problemsOf = (env: Record<string, string | undefined>): string[] => {
  const parsed = parseSettings(env);
  return parsed.ok ? [] : parsed.problems;
};

const settingsOf = (env: Record<string, string | undefined>) => {
  const parsed = parseSettings(env);
  if (!parsed.ok) throw new Error(parsed.problems.join('; '));
  return parsed.value;
};

describe('the settings', () => {
  it('have these defaults', () => {
    expect(settingsOf(least)).toEqual({
      role: 'issuer',
      publicUrl: 'https://broker.example.com',
      policy: 'broker.yaml',
      keyVaultUrl: 'https://vault.example.com',
      tokenStoreUrl: 'https://tokens.example.com',
      auditStoreUrls: ['https://audit.example.com'],
      tokenCacheKey: 'token-cache-key',
      cloud: clouds.public,
      instanceDiscovery: true,
      challengeVerification: true,
      internalIssuers: false,
      oidcUrl: undefined,
      brokerIdentityClientId: undefined,
      refreshSchedule: undefined,
      rotateSchedule: undefined,
      endpointLookSeconds: 60,
      refreshAheadSeconds: 900,
      auditRetentionMonths: 13,
      rotationLookSeconds: 300,
      proofSpreadSeconds: 60,
      proofCount: 3,
      callerRequestsPerMinute: 6000,
    });
  });

  it('are taken as given', () => {
    expect(
      settingsOf({
        ...least,
        BROKER_ROLE: 'all',
        POLICY: 'policies/broker.yaml',
        AUDIT_STORE_URLS: 'https://a.example.com, https://b.example.com',
        TOKEN_CACHE_KEY: 'another-key',
        AZURE_CLOUD: 'china',
        BROKER_IDENTITY_CLIENT_ID: 'c0000000-0000-4000-8000-000000000001',
        REFRESH_SCHEDULE: '*/5 * * * * *',
        ROTATE_SCHEDULE: '0 */10 * * * *',
        ENDPOINT_LOOK_SECONDS: '10',
        REFRESH_AHEAD_SECONDS: '86400',
        AUDIT_RETENTION_MONTHS: '120',
        ROTATION_LOOK_SECONDS: '5',
        PROOF_SPREAD_SECONDS: '0',
        PROOF_COUNT: '10',
      }),
    ).toMatchObject({
      role: 'all',
      policy: 'policies/broker.yaml',
      auditStoreUrls: ['https://a.example.com', 'https://b.example.com'],
      tokenCacheKey: 'another-key',
      cloud: clouds.china,
      brokerIdentityClientId: 'c0000000-0000-4000-8000-000000000001',
      refreshSchedule: '*/5 * * * * *',
      rotateSchedule: '0 */10 * * * *',
      endpointLookSeconds: 10,
      refreshAheadSeconds: 86_400,
      auditRetentionMonths: 120,
      rotationLookSeconds: 5,
      proofSpreadSeconds: 0,
      proofCount: 10,
    });
  });

  it('lose the slashes at the end of URLs', () => {
    expect(
      settingsOf({ ...least, PUBLIC_URL: 'https://broker.example.com//', KEY_VAULT_URL: 'https://v/' }),
    ).toMatchObject({
      publicUrl: 'https://broker.example.com',
      keyVaultUrl: 'https://v',
    });
  });

  it('take the policy from a blob, by its URL', () => {
    const POLICY = 'https://account.blob.core.windows.net/policy/broker.yaml';
    expect(settingsOf({ ...least, POLICY })).toMatchObject({ policy: POLICY });
  });

  it('count as absent when they are empty', () => {
    expect(settingsOf({ ...least, BROKER_ROLE: '', AZURE_CLOUD: '', ENTRA_URL: '', REFRESH_SCHEDULE: '' })).toEqual(
      settingsOf(least),
    );
    expect(problemsOf({ ...least, KEY_VAULT_URL: '' })).toEqual(['KEY_VAULT_URL: is missing']);
  });

  it('leave everything else in the environment alone', () => {
    expect(settingsOf({ ...least, PATH: '/usr/bin', constructor: 'x', FUNCTIONS_WORKER_RUNTIME: 'node' })).toEqual(
      settingsOf(least),
    );
  });

  it.each([
    ['BROKER_ROLE', 'admin', 'must be issuer, rotator or all'],
    ['PUBLIC_URL', 'broker', 'must be the URL at which callers reach the broker'],
    ['PUBLIC_URL', 'ftp://broker.example.com', 'must be the URL at which callers reach the broker'],
    ['PUBLIC_URL', 'http://broker.example.com', 'must be an https URL'],
    ...[
      'http://account.blob.example.com/policy/broker.yaml',
      'https://account.blob.example.com',
      'https://account.blob.example.com/policy/broker.yaml?sv=2023&sig=made-up',
      'https://user@account.blob.example.com/policy/broker.yaml',
      'file:///broker.yaml',
    ].map((url) => [
      'POLICY',
      url,
      'must be a path, or the https URL of a blob without a query: the broker signs in to read it',
    ]),
    ['CALLER_REQUESTS_PER_MINUTE', '0', 'must be from 1 to 10000000'],
    ['KEY_VAULT_URL', 'vault', 'must be an https URL'],
    ['TOKEN_STORE_URL', 'tokens', 'must be an https URL'],
    ['AUDIT_STORE_URLS', ' ', 'must name one or two https URLs'],
    ['AUDIT_STORE_URLS', 'https://a https://b https://c', 'must name one or two https URLs'],
    ['AUDIT_STORE_URLS', 'https://a b', 'must be an https URL'],
    ['TOKEN_CACHE_KEY', 'with space', 'must be the name of a Key Vault secret: letters, digits and hyphens'],
    ['AZURE_CLOUD', 'germany', 'must be public, china, usgovernment or custom'],
    ['ENTRA_INSTANCE_DISCOVERY', 'false', 'must be on or off'],
    ['KEY_VAULT_CHALLENGE_VERIFICATION', 'no', 'must be on or off'],
    ['BROKER_IDENTITY_CLIENT_ID', 'broker', 'must be the client id of a user-assigned managed identity'],
    ['REFRESH_SCHEDULE', '* * * * *', 'must be an NCRONTAB text of six fields: second minute hour day month weekday'],
    ['ROTATE_SCHEDULE', '@daily', 'must be an NCRONTAB text of six fields: second minute hour day month weekday'],
    ['ENDPOINT_LOOK_SECONDS', 'soon', 'must be a whole number from 1 to 3600'],
    ['ENDPOINT_LOOK_SECONDS', '1.5', 'must be a whole number from 1 to 3600'],
    ['ENDPOINT_LOOK_SECONDS', '0', 'must be from 1 to 3600'],
    ['ENDPOINT_LOOK_SECONDS', '3601', 'must be from 1 to 3600'],
    ['REFRESH_AHEAD_SECONDS', '86401', 'must be from 1 to 86400'],
    ['AUDIT_RETENTION_MONTHS', '121', 'must be from 1 to 120'],
    ['PROOF_SPREAD_SECONDS', '3601', 'must be from 0 to 3600'],
    ['PROOF_COUNT', '0', 'must be from 1 to 10'],
    ['PROOF_COUNT', '11', 'must be from 1 to 10'],
  ])('refuse %s=%s', (name, value, message) => {
    expect(problemsOf({ ...least, [name]: value })).toEqual([`${name}: ${message}`]);
  });

  it.each(Object.keys(least))('refuse to be without %s', (name) => {
    expect(problemsOf({ ...least, [name]: undefined })).toEqual([`${name}: is missing`]);
  });

  it('report every wrong setting at once', () => {
    expect(
      problemsOf({ BROKER_ROLE: 'admin', AZURE_CLOUD: 'mars', KEY_VAULT_URL: 'http://vault', REFRESH_SCHEDULE: 'x' }),
    ).toEqual([
      'BROKER_ROLE: must be issuer, rotator or all',
      'PUBLIC_URL: is missing',
      'KEY_VAULT_URL: must be an https URL',
      'TOKEN_STORE_URL: is missing',
      'AUDIT_STORE_URLS: is missing',
      'AZURE_CLOUD: must be public, china, usgovernment or custom',
      'REFRESH_SCHEDULE: must be an NCRONTAB text of six fields: second minute hour day month weekday',
    ]);
  });

  it('report wrong settings and settings that do not go together at once', () => {
    expect(
      problemsOf({
        ...least,
        BROKER_ROLE: 'admin',
        PUBLIC_URL: 'http://broker.example.com',
        ENTRA_URL: custom.ENTRA_URL,
        KEY_VAULT_CHALLENGE_VERIFICATION: 'off',
        ENDPOINT_LOOK_SECONDS: 'soon',
      }),
    ).toEqual([
      'BROKER_ROLE: must be issuer, rotator or all',
      'ENDPOINT_LOOK_SECONDS: must be a whole number from 1 to 3600',
      'ENTRA_URL: is read only where AZURE_CLOUD is custom; remove it',
      'KEY_VAULT_CHALLENGE_VERIFICATION: may be off only where AZURE_CLOUD is custom',
      'PUBLIC_URL: must be an https URL',
    ]);
    expect(problemsOf({ ...custom, ARM_URL: undefined, TOKEN_STORE_URL: undefined })).toEqual([
      'TOKEN_STORE_URL: is missing',
      'ARM_URL: is needed where AZURE_CLOUD is custom',
    ]);
  });

  it.each([
    [{}, 'broker.yaml'],
    [{ POLICY: '' }, 'broker.yaml'],
    [{ POLICY: 'policies/broker.yaml' }, 'policies/broker.yaml'],
  ])('say with %j where the policy is, also when they are broken', (env, policy) => {
    expect(parseSettings({ ...least, ...env })).toMatchObject({ ok: true, policy, value: { policy } });
    expect(parseSettings(env)).toMatchObject({ ok: false, policy });
  });

  it.each([
    ['REFRESH_SCHEDULE', '0 60 * * * *'],
    ['ROTATE_SCHEDULE', '0 0 0 L * *'],
  ])('refuse a schedule that the Functions host does not take: %s=%s', (name, value) => {
    expect(problemsOf({ ...least, [name]: value })).toEqual([
      `${name}: must be an NCRONTAB text of six fields: second minute hour day month weekday`,
    ]);
  });

  it('P2: repeat no value in a problem', () => {
    const secret = 'made-up-secret-value';
    const wrong = Object.fromEntries(
      ['BROKER_ROLE', 'KEY_VAULT_URL', 'TOKEN_CACHE_KEY', 'ENDPOINT_LOOK_SECONDS', 'AUDIT_STORE_URLS'].map((name) => [
        name,
        `${secret} ${name}`,
      ]),
    );
    const problems = problemsOf({ ...least, ...wrong });
    expect(problems.length).toBeGreaterThanOrEqual(5);
    expect(problems.join('\n')).not.toContain(secret);
  });
});

describe('a known cloud', () => {
  it.each(['public', 'china', 'usgovernment'] as const)('%s is taken whole from the constants', (name) => {
    expect(settingsOf({ ...least, AZURE_CLOUD: name }).cloud).toBe(clouds[name]);
  });

  it.each(['public', 'china', 'usgovernment'])('%s refuses every setting that is for custom alone', (name) => {
    const { ENTRA_URL, ARM_URL, GRAPH_URL } = custom;
    const OIDC_URL = 'https://localhost:7081/workload';
    const off = { ENTRA_INSTANCE_DISCOVERY: 'off', KEY_VAULT_CHALLENGE_VERIFICATION: 'off' };
    expect(problemsOf({ ...least, AZURE_CLOUD: name, ENTRA_URL, ARM_URL, GRAPH_URL, OIDC_URL, ...off })).toEqual([
      'ENTRA_URL: is read only where AZURE_CLOUD is custom; remove it',
      'ARM_URL: is read only where AZURE_CLOUD is custom; remove it',
      'GRAPH_URL: is read only where AZURE_CLOUD is custom; remove it',
      'OIDC_URL: is read only where AZURE_CLOUD is custom; remove it',
      'ENTRA_INSTANCE_DISCOVERY: may be off only where AZURE_CLOUD is custom',
      'KEY_VAULT_CHALLENGE_VERIFICATION: may be off only where AZURE_CLOUD is custom',
    ]);
  });
});

describe('a custom cloud', () => {
  it('moves where keys and tokens are fetched, never the issuer or the audience', () => {
    const { cloud } = settingsOf(custom);
    expect(cloud).toMatchObject({
      authorityHost: custom.ENTRA_URL,
      armEndpoint: custom.ARM_URL,
      graphEndpoint: custom.GRAPH_URL,
      armScope: clouds.public.armScope,
      amlScope: clouds.public.amlScope,
      graphScope: clouds.public.graphScope,
    });
    expect(cloud.issuerV1('t')).toBe('https://sts.windows.net/t/');
    expect(cloud.issuerV2('t')).toBe('https://login.microsoftonline.com/t/v2.0');
  });

  it('needs all three URLs', () => {
    expect(problemsOf({ ...least, AZURE_CLOUD: 'custom' })).toEqual([
      'ENTRA_URL: is needed where AZURE_CLOUD is custom',
      'ARM_URL: is needed where AZURE_CLOUD is custom',
      'GRAPH_URL: is needed where AZURE_CLOUD is custom',
    ]);
  });

  it('may switch off the two checks that name Microsoft’s own hosts, and has them on otherwise', () => {
    expect(settingsOf(custom)).toMatchObject({ instanceDiscovery: true, challengeVerification: true });
    expect(
      settingsOf({ ...custom, ENTRA_INSTANCE_DISCOVERY: 'off', KEY_VAULT_CHALLENGE_VERIFICATION: 'off' }),
    ).toMatchObject({ instanceDiscovery: false, challengeVerification: false });
  });

  it('alone may have issuers on this machine, and move where the documents of issuers are fetched', () => {
    expect(settingsOf(custom)).toMatchObject({ internalIssuers: true, oidcUrl: undefined });
    const moved = settingsOf({ ...custom, OIDC_URL: 'https://localhost:7081/workload/' });
    expect(moved).toMatchObject({ internalIssuers: true, oidcUrl: 'https://localhost:7081/workload' });
    for (const cloud of ['public', 'china', 'usgovernment']) {
      expect(settingsOf({ ...least, AZURE_CLOUD: cloud })).toMatchObject({
        internalIssuers: false,
        oidcUrl: undefined,
      });
    }
  });

  it('may have a PUBLIC_URL without TLS, for the laptop', () => {
    expect(settingsOf({ ...custom, PUBLIC_URL: 'http://localhost:7071' }).publicUrl).toBe('http://localhost:7071');
  });

  it.each(['ENTRA_URL', 'ARM_URL', 'GRAPH_URL', 'OIDC_URL', 'KEY_VAULT_URL', 'TOKEN_STORE_URL', 'AUDIT_STORE_URLS'])(
    'weakens no TLS: %s must be https there too',
    (name) => {
      expect(problemsOf({ ...custom, [name]: 'http://localhost:7081' })).toEqual([`${name}: must be an https URL`]);
    },
  );
});
