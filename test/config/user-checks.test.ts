import { describe, expect, it } from 'vitest';
import { goodPolicy, plant, problemsOf } from './policy-text.ts';

const tenant = '11111111-1111-4111-8111-111111111111';
const api = 'b0000000-0000-4000-8000-000000000001';
const issuer = `  contoso: { entraTenant: ${tenant}, audience: [api://broker, broker] }`;
const runner = '  runner: { use: issue, managedIdentity: {} }';
const caller = '    caller: { issuer: contoso, class: app, roles: [Train], claims: { xms_mirid: one } }';
const entry = '      - { workspace: prod, audience: aml, identity: trainer }';
const limit = '    maxLifetime: 90m';

/** An identity that acts for users, beside the others. */
const actor = (changes: { tenantId?: string; use?: string; mark?: string } = {}) =>
  [
    runner,
    `${runner}\n  user:\n    use: ${changes.use ?? 'issue'}${changes.mark ?? ''}\n    onBehalfOf: { tenantId: ${changes.tenantId ?? tenant}, clientId: ${api}, managedIdentity: {} }`,
  ] as const;
const users = [caller, '    caller: { issuer: contoso, class: user }'] as const;
const through = (text: string) => [entry, `      - ${text}`] as const;
const byUser = '{ workspace: prod, audience: aml, identity: user }';

describe('a grant for users', () => {
  it('is good through an identity that acts for them', () => {
    expect(problemsOf(plant(actor(), users, through(byUser)).text)).toEqual([]);
  });

  it.each([
    ['an identity’s own token', '{ workspace: prod, audience: aml, identity: trainer }'],
    ['an endpoint’s own token', '{ endpointToken: prod/fraud-aml }'],
    ['an endpoint’s key', '{ endpointKey: prod/fraud-scorer }'],
  ])('P3: is refused with %s, also beside a good entry, unless it says that it bypasses', (_what, bypassing) => {
    const entries = through(`${byUser}\n      - ${bypassing} #!`);
    const longer = [limit, '    maxLifetime: 25h'] as const;
    const { text, lines } = plant(actor(), users, entries, longer);
    expect(problemsOf(text)).toEqual([
      `line ${lines[0]}: grants.trains.allow.1: would serve users past their Conditional Access: name an onBehalfOf identity, or say bypassesConditionalAccess: true in the grant if that is meant`,
    ]);
    const saying = [limit, '    maxLifetime: 25h\n    bypassesConditionalAccess: true'] as const;
    expect(problemsOf(plant(actor(), users, entries, saying).text)).toEqual([]);
  });

  it('is told of an unknown identity once', () => {
    const { text, lines } = plant(users, through('{ workspace: prod, audience: aml, identity: nobody } #!'));
    expect(problemsOf(text)).toEqual([
      `line ${lines[0]}: grants.trains.allow.0.identity: there is no identity named nobody`,
    ]);
  });
});

describe('an identity that acts for users', () => {
  it('P3: is refused for apps', () => {
    const { text, lines } = plant(actor(), through(`${byUser} #!`));
    expect(problemsOf(text)).toEqual([
      `line ${lines[0]}: grants.trains.allow.0.identity: the identity user acts for users: a grant for class app needs another one`,
    ]);
  });

  it('P3: is refused for endpoints’ tokens, even where the grant bypasses', () => {
    const entries = through('{ endpointToken: prod/fraud-aad, identity: user } #!');
    const { text, lines } = plant(actor(), users, entries, [
      limit,
      '    maxLifetime: 25h\n    bypassesConditionalAccess: true',
    ]);
    expect(problemsOf(text)).toEqual([
      `line ${lines[0]}: grants.trains.allow.0.identity: the identity user acts for users: endpoints’ tokens need one with tokens of its own`,
    ]);
  });

  it('P3: is refused for the broker’s own fetching', () => {
    const { text, lines } = plant(actor({ use: 'fetch', mark: ' #!' }));
    expect(problemsOf(text)).toEqual([
      `line ${lines[0]}: identities.user.use: must be issue: tokens of users are for those users alone`,
    ]);
  });

  it('is refused in another tenant than the users’', () => {
    const elsewhere = actor({ tenantId: '22222222-2222-4222-8222-222222222222' });
    const { text, lines } = plant(elsewhere, users, through(`${byUser} #!`));
    expect(problemsOf(text)).toEqual([
      `line ${lines[0]}: grants.trains.allow.0.identity: can never work: the identity user is in another tenant than the users of contoso`,
    ]);
  });

  it.each([`[api://${api.toUpperCase()}]`, `[api://other, ${api}]`, '[api://broker]'])(
    'is good where the users’ tokens may be addressed to its application: %s',
    (audience) => {
      const issued = [issuer, `  contoso: { entraTenant: ${tenant}, audience: ${audience} }`] as const;
      expect(problemsOf(plant(issued, actor(), users, through(byUser)).text)).toEqual([]);
    },
  );

  it('is refused where they are surely addressed to another application', () => {
    const other = 'b0000000-0000-4000-8000-0000000000ff';
    const issued = [issuer, `  contoso: { entraTenant: ${tenant}, audience: [api://${other}, ${other}] }`] as const;
    const { text, lines } = plant(issued, actor(), users, through(`${byUser} #!`));
    expect(problemsOf(text)).toEqual([
      `line ${lines[0]}: grants.trains.allow.0.identity: can never work: the tokens of contoso are for another application than that of the identity user; give it the clientId that the audience names`,
    ]);
  });

  it('serves one workspace, like every identity whose tokens are handed out', () => {
    const both = through(`${byUser}\n      - { workspace: dev, audience: aml, identity: user }`);
    expect(problemsOf(plant(actor(), users, both).text)).toEqual([
      expect.stringContaining('identities.user: serves several workspaces (dev, prod)'),
    ]);
  });

  it('may have a short maxLifetime: only a managed identity’s own tokens live a day', () => {
    const federated = `${runner}\n  deployer:\n    use: issue\n    federated: { tenantId: ${tenant}, clientId: ${api}, managedIdentity: {} }`;
    const { text } = plant([runner, federated], through('{ workspace: prod, audience: aml, identity: deployer }'));
    expect(problemsOf(text)).toEqual([]);
  });
});

describe('an identity', () => {
  it.each(['federated', 'onBehalfOf'])('of kind %s names tenant, application and managed identity', (kind) => {
    const planted = `${runner}\n  one: { use: issue, ${kind}: { tenantId: ${tenant} } }`;
    expect(problemsOf(plant([runner, planted]).text)).toEqual([
      expect.stringContaining(`identities.one.${kind}.clientId`),
      expect.stringContaining(`identities.one.${kind}.managedIdentity`),
    ]);
  });

  it('is of one kind alone', () => {
    const federated = `federated: { tenantId: ${tenant}, clientId: ${api}, managedIdentity: {} }`;
    const planted = `${runner}\n  one: { use: issue, managedIdentity: {}, ${federated} }`;
    expect(problemsOf(plant([runner, planted]).text)).toEqual([
      expect.stringContaining('must say exactly one of managedIdentity, servicePrincipal, federated and onBehalfOf'),
    ]);
  });

  it.each([
    'api://AzureADTokenExchange',
    'api://azureadtokenexchangeusgov',
    'api://AzureADTokenExchangeChina',
    'fb60f99c-7a34-4190-8149-302f77469936',
  ])('P2: no issuer’s audience may be that of assertions: %s', (audience) => {
    const text = goodPolicy.replace('audience: [api://broker, broker]', `audience: ['${audience}']`);
    expect(problemsOf(text).join()).toContain('is the audience of federated credentials');
  });
});
