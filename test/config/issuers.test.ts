import { describe, expect, it } from 'vitest';
import { parsePolicy } from '../../src/config/policy.ts';
import { parseSettings } from '../../src/config/settings.ts';

const github = 'https://token.actions.githubusercontent.com';

const policyWith = (issuer: string, more = '') => `issuers:
  contoso: { entraTenant: 11111111-1111-4111-8111-111111111111, audience: broker }
  one: ${issuer}
${more}`;

const problemsOf = (text: string, internalIssuers = false): string[] => {
  const parsed = parsePolicy(text, { tokenCacheKey: 'k', brokerIdentityClientId: undefined, internalIssuers });
  return parsed.ok ? [] : parsed.problems;
};

const problemsOfIssuer = (issuer: string) => problemsOf(policyWith(`{ issuer: "${issuer}", audience: broker }`));

describe('an OIDC issuer', () => {
  it.each([
    `{ issuer: ${github}, audience: aml-token-broker }`,
    '{ issuer: "https://westeurope.oic.prod-aks.azure.com/a/b/", audience: broker }',
    '{ issuer: "https://kubernetes.default.svc.cluster.local", audience: broker }',
    '{ issuer: "https://oidc.example.com:8443/cluster", audience: broker }',
    `{ issuer: ${github}, audience: broker, jwksUri: "https://keys.example.com/jwks?v=1" }`,
  ])('is accepted as %s', (issuer) => {
    expect(problemsOf(policyWith(issuer))).toEqual([]);
  });

  it.each([
    ['plain http', 'http://issuer.example.com'],
    ['no URL', 'issuer.example.com'],
    ['a query', 'https://issuer.example.com/?a=b'],
    ['a fragment', 'https://issuer.example.com/#a'],
    ['a user', 'https://user@issuer.example.com'],
    ['a space', 'https://issuer.example.com/ a'],
    ['a backslash', 'https://issuer.example.com\\\\a'],
    ['a final dot of the host', 'https://issuer.example.com./'],
    ['another scheme', 'ftp://issuer.example.com'],
    ['nothing', ''],
  ])('is refused with %s', (_what, issuer) => {
    expect(problemsOfIssuer(issuer)).toEqual([
      expect.stringMatching(/^line 3: issuers\.one\.issuer: must be the issuer’s https URL/),
    ]);
  });

  it.each([
    ['a list of audiences', `{ issuer: ${github}, audience: [a, b] }`, 'issuers.one.audience: '],
    ['no audience', `{ issuer: ${github} }`, 'issuers.one.audience: is missing'],
    [
      'the audience of federated credentials',
      `{ issuer: ${github}, audience: API://AzureADTokenExchange }`,
      'issuers.one.audience: is the audience of federated',
    ],
    [
      'pinned keys over http',
      `{ issuer: ${github}, audience: a, jwksUri: "http://keys.example.com" }`,
      'issuers.one.jwksUri: must be an https URL',
    ],
    [
      'an unknown key',
      `{ issuer: ${github}, audience: a, jwks: "https://a.example" }`,
      'issuers.one.jwks: is not a known key',
    ],
    [
      'a tenant too',
      `{ issuer: ${github}, audience: a, entraTenant: 11111111-1111-4111-8111-111111111112 }`,
      'is not a known key',
    ],
  ])('is refused with %s', (_what, issuer, message) => {
    const problems = problemsOf(policyWith(issuer));
    expect(problems).toEqual([expect.stringContaining(message)]);
    expect(problems[0]).toMatch(/^line 3: /);
  });

  it.each([
    'https://sts.windows.net/11111111-1111-4111-8111-111111111111/',
    'https://login.microsoftonline.com/11111111-1111-4111-8111-111111111111/v2.0',
    'https://LOGIN.MicrosoftOnline.com/common/v2.0',
    'https://login.microsoftonline.com:443/11111111-1111-4111-8111-111111111111/v2.0',
    'https://login.microsoftonline.us/11111111-1111-4111-8111-111111111111/v2.0',
    'https://login.partner.microsoftonline.cn/11111111-1111-4111-8111-111111111111/v2.0',
    'https://sts.chinacloudapi.cn/11111111-1111-4111-8111-111111111111/',
    'https://westeurope.login.microsoft.com/11111111-1111-4111-8111-111111111111/v2.0',
    'https://login.windows.net/11111111-1111-4111-8111-111111111111/',
  ])('P1: is refused when it is Entra’s, which would make users workloads: %s', (issuer) => {
    expect(problemsOfIssuer(issuer)).toEqual([
      'line 3: issuers.one.issuer: is Entra’s: use entraTenant with the tenant’s id, so that apps and users are told apart',
    ]);
  });

  it('P1: is refused under two names', () => {
    const entry = `{ issuer: ${github}, audience: a }`;
    expect(problemsOf(policyWith(entry, `  two: { issuer: ${github}, audience: b }\n`))).toEqual([
      'line 4: issuers.two: names the same issuer as one',
    ]);
    expect(problemsOf(policyWith(entry, `  two: { issuer: ${github}/, audience: a }\n`))).toEqual([]);
  });
});

describe('an issuer on this machine, its link or a private network', () => {
  const least = {
    PUBLIC_URL: 'https://broker.example.com',
    KEY_VAULT_URL: 'https://vault.example.com',
    TOKEN_STORE_URL: 'https://tokens.example.com',
    AUDIT_STORE_URLS: 'https://audit.example.com',
  };
  const custom = { ENTRA_URL: 'https://localhost:1', ARM_URL: 'https://localhost:2', GRAPH_URL: 'https://localhost:3' };
  const hosts = [
    'localhost',
    'LOCALHOST:8443',
    'issuer.localhost',
    '127.0.0.1',
    '127.8.9.10',
    '2130706433',
    '0x7f000001',
    '127.1',
    '0.0.0.0',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[0:0:0:0:0:0:0:1]:8443',
    '169.254.169.254',
    '[fe80::1]',
    '[::ffff:169.254.169.254]',
    '168.63.129.16',
    '10.0.0.1',
    '172.16.0.1',
    '192.168.1.1',
    '[fd00::1]',
  ];

  const problemsUnder = (cloud: string, text: string): string[] => {
    const settings = parseSettings({ ...least, AZURE_CLOUD: cloud, ...(cloud === 'custom' ? custom : {}) });
    if (!settings.ok) throw new Error(settings.problems.join('; '));
    const parsed = parsePolicy(text, settings.value);
    return parsed.ok ? [] : parsed.problems;
  };

  const refused = (key: string) =>
    `line 3: issuers.one.${key}: is on this machine, its link or a private network: name a host that others can reach (only AZURE_CLOUD=custom may name such an issuer)`;

  it.each(['public', 'china', 'usgovernment'])(
    'P1: is refused on the known cloud %s, as issuer and as pinned keys',
    (cloud) => {
      for (const host of hosts) {
        const issuer = `{ issuer: "https://${host}/a", audience: broker }`;
        expect(problemsUnder(cloud, policyWith(issuer)), host).toEqual([refused('issuer')]);
        const pinned = `{ issuer: ${github}, audience: broker, jwksUri: "https://${host}/keys" }`;
        expect(problemsUnder(cloud, policyWith(pinned)), host).toEqual([refused('jwksUri')]);
      }
    },
  );

  it('P1: is refused where nothing is known of the cloud', () => {
    expect(problemsOfIssuer('https://localhost:8443')).toEqual([refused('issuer')]);
  });

  it('may be named on the custom cloud', () => {
    for (const host of hosts) {
      const issuer = `{ issuer: "https://${host}/a", audience: broker, jwksUri: "https://${host}/keys" }`;
      expect(problemsUnder('custom', policyWith(issuer)), host).toEqual([]);
    }
  });

  it.each(['203.0.113.7', '[2001:db8::1]', 'localhost.example.com', 'my-localhost.com', '172.32.0.1'])(
    'is not taken for one: %s',
    (host) => {
      expect(problemsOfIssuer(`https://${host}/`)).toEqual([]);
    },
  );
});

describe('a matcher', () => {
  const policy = (caller: string, more = '') =>
    `issuers:
  contoso: { entraTenant: 11111111-1111-4111-8111-111111111111, audience: broker }
  github: { issuer: ${github}, audience: broker }
identities:
  trainer: { use: issue, servicePrincipal: { tenantId: 11111111-1111-4111-8111-111111111111, clientId: d0000000-0000-4000-8000-000000000001, secret: s } }
workspaces:
  prod: { subscription_id: 00000000-0000-4000-8000-00000000000a, resource_group: ml, workspace_name: ml-prod }
grants:
  trains:
    caller: ${caller}
    allow: [ { workspace: prod, audience: aml, identity: trainer } ]
    maxLifetime: 90m
${more}`;
  const path = 'line 10: grants.trains.caller';
  const id = 'e0000000-0000-4000-8000-000000000001';

  it.each([
    '{ issuer: github, class: workload, subject: "repo:contoso/fraud:*" }',
    '{ issuer: github, class: workload, claims: { repository_owner_id: "1234", ref: "refs/heads/*" } }',
    '{ issuer: github, class: workload, claims: { email: "*@contoso.example" } }',
    `{ issuer: github, class: workload, claims: { iss: ${github} }, subject: a }`,
    '{ issuer: github, class: workload, subject: "a*", claims: { sub: "*b" } }',
  ])('is accepted as %s', (caller) => {
    expect(problemsOf(policy(caller))).toEqual([]);
  });

  it.each([
    [
      'an app of an OIDC issuer',
      '{ issuer: github, class: app, subject: a }',
      '.class: can never match: callers of the OIDC issuer github are of class workload',
    ],
    [
      'a user of an OIDC issuer',
      '{ issuer: github, class: user, subject: a }',
      '.class: can never match: callers of the OIDC issuer github are of class workload',
    ],
    [
      'a workload of a tenant',
      '{ issuer: contoso, class: workload, subject: a }',
      '.class: can never match: callers of the Entra tenant contoso are of class app or user',
    ],
    [
      'a workload of a tenant that says nothing',
      '{ issuer: contoso, class: workload }',
      '.class: can never match: callers of the Entra tenant contoso are of class app or user',
    ],
    [
      'oid',
      `{ issuer: github, class: workload, subject: a, oid: ${id} }`,
      '.oid: can never match: only Entra’s tokens have oid; match workloads on subject or claims',
    ],
    [
      'appId',
      `{ issuer: github, class: workload, subject: a, appId: ${id} }`,
      '.appId: can never match: only Entra’s tokens have appId; match workloads on subject or claims',
    ],
    [
      'roles',
      '{ issuer: github, class: workload, subject: a, roles: [Operator] }',
      '.roles: can never match: only Entra’s tokens have roles; match workloads on subject or claims',
    ],
    [
      'two subjects',
      '{ issuer: github, class: workload, subject: a, claims: { sub: b } }',
      '.claims.sub: can never match: the rest of the matcher says otherwise',
    ],
    [
      'another issuer’s name',
      '{ issuer: github, class: workload, claims: { iss: x } }',
      '.claims.iss: can never match: the rest of the matcher says otherwise',
    ],
    [
      'a pattern as an app’s subject',
      '{ issuer: contoso, class: app, subject: "a*" }',
      '.subject: is matched exactly: * stands for any characters in class workload only',
    ],
    [
      'a pattern as an app’s claim',
      '{ issuer: contoso, class: app, claims: { xms_mirid: "/subscriptions/*" } }',
      '.claims.xms_mirid: is matched exactly: * stands for any characters in class workload only',
    ],
    [
      'nobody in particular',
      '{ issuer: github, class: workload }',
      ': would let in every workload of the issuer: name a subject or claims',
    ],
    [
      'nobody in particular, with an empty list',
      '{ issuer: github, class: workload, claims: {} }',
      ': would let in every workload of the issuer: name a subject or claims',
    ],
  ])('is refused: %s', (_what, caller, message) => {
    const problems = problemsOf(policy(caller)).filter((problem) => !problem.includes('Conditional Access'));
    expect(problems).toEqual([`${path}${message}`]);
  });

  it('P1: of operators may not mean every workload either; a denied one may', () => {
    const good = '{ issuer: github, class: workload, subject: a }';
    expect(problemsOf(policy(good, 'operators: [ { issuer: github, class: workload } ]\n'))).toEqual([
      'line 13: operators.0: would let in every workload of the issuer: name a subject or claims',
    ]);
    expect(problemsOf(policy(good, 'deny: [ { issuer: github, class: workload } ]\n'))).toEqual([]);
  });
});
