import { describe, expect, it } from 'vitest';
import { parsePolicy } from '../../src/config/policy.ts';
import { type EndpointKeyRotation, toRotations } from '../../src/config/rotations.ts';
import type { Rotation } from '../../src/rotation/facts.ts';
import { goodPolicy, plant, problemsOf } from './policy-text.ts';

const secretLines = `    rotateEvery: 30d
    lifetime: 60d
    overlap: 20s
`;
const keys = '  fraud-keys: { endpointKeys: prod/Fraud-Scorer, rotateEvery: 7d }';
const client = 'clientId: d0000000-0000-4000-8000-000000000001\n    application';
const application = '    application: d0000000-0000-4000-8000-0000000000a1';
const prod =
  '  prod: { subscription_id: 00000000-0000-4000-8000-00000000000a, resource_group: ml, workspace_name: ml-prod, fetch: reader }';

/** One more rotation of a secret, in one line. */
const another = (name: string, changes: Record<string, string> = {}) => {
  const entry = {
    tenantId: '11111111-1111-4111-8111-111111111111',
    clientId: 'd0000000-0000-4000-8000-000000000001',
    application: 'd0000000-0000-4000-8000-0000000000a1',
    rotateEvery: '30d',
    ...changes,
  };
  const fields = Object.entries(entry).map(([key, value]) => `${key}: ${value}`);
  return `${goodPolicy}  ${name}: { ${fields.join(', ')} }\n`;
};
const lastLine = goodPolicy.split('\n').length;

const rotationsOf = (text: string) => {
  const parsed = parsePolicy(text);
  if (!parsed.ok) throw new Error(parsed.problems.join('; '));
  return toRotations(parsed.value);
};

describe('the rotations of a policy', () => {
  it('are read with their times in seconds', () => {
    const { secrets, endpointKeys } = rotationsOf(goodPolicy);
    expect(secrets satisfies Rotation[]).toEqual([
      {
        name: 'trainer-password',
        tenantId: '11111111-1111-4111-8111-111111111111',
        clientId: 'd0000000-0000-4000-8000-000000000001',
        application: 'd0000000-0000-4000-8000-0000000000a1',
        rotateEverySeconds: 2_592_000,
        lifetimeSeconds: 5_184_000,
        overlapSeconds: 20,
      },
    ]);
    expect(endpointKeys satisfies EndpointKeyRotation[]).toEqual([
      {
        name: 'fraud-keys',
        workspace: 'prod',
        endpoint: 'fraud-scorer',
        rotateEverySeconds: 604_800,
        overlapSeconds: 86_400,
      },
    ]);
  });

  it('live 90 days and overlap for one where nothing else is said', () => {
    const { text } = plant([secretLines, '    rotateEvery: 30d\n']);
    expect(rotationsOf(text).secrets).toMatchObject([{ lifetimeSeconds: 7_776_000, overlapSeconds: 86_400 }]);
  });

  it('may be none', () => {
    expect(rotationsOf(goodPolicy.slice(0, goodPolicy.indexOf('rotations:')))).toEqual({
      secrets: [],
      endpointKeys: [],
    });
  });

  it('may be two secrets of one application: their passwords are told apart by the rotation’s name', () => {
    expect(rotationsOf(another('second')).secrets).toHaveLength(2);
  });

  it('may have names up to 119 characters, so that -pending fits too', () => {
    expect(problemsOf(another('a'.repeat(119)))).toEqual([]);
    expect(problemsOf(another('a'.repeat(120)))).toEqual([expect.stringMatching(/at most 119/)]);
  });
});

describe('a rotation of the wrong shape is refused, with the line', () => {
  it.each<[string, [string, string], string]>([
    ['an unknown key', [secretLines, `${secretLines}    every: 3d #!\n`], 'trainer-password.every: is not a known key'],
    [
      'an unknown key of an endpoint',
      [keys, `${keys.replace('rotateEvery', 'lifetime: 9d, rotateEvery')} #!`],
      'fraud-keys.lifetime: is not a known key',
    ],
    [
      'a secret that is an endpoint too',
      [application, `${application}\n    endpointKeys: prod/a #!`],
      'trainer-password.endpointKeys: is not a known key',
    ],
    [
      'a time in words',
      ['    rotateEvery: 30d', '    rotateEvery: monthly #!'],
      'trainer-password.rotateEvery: must be a whole number and a unit: s, m, h or d, for example 90m',
    ],
    ['no time', [keys, '  fraud-keys: { endpointKeys: prod/fraud-scorer } #!'], 'fraud-keys.rotateEvery: is missing'],
    ['less than a minute', [keys, `${keys.replace('7d', '59s')} #!`], 'fraud-keys.rotateEvery: must be at least 1m'],
    [
      'a client id that is no GUID',
      [client, 'clientId: trainer #!\n    application'],
      'trainer-password.clientId: must be a GUID',
    ],
    [
      'a pattern of endpoints',
      [keys, `${keys.replace('Fraud-Scorer', 'fraud-*')} #!`],
      'fraud-keys.endpointKeys: must be workspace/endpoint, without *',
    ],
    ['something else', [keys, '  fraud-keys: monthly #!'], 'fraud-keys: is not of a form that is known here'],
  ])('%s', (_what, change, expected) => {
    const { text, lines } = plant(change);
    expect(problemsOf(text)).toEqual([`line ${lines[0]}: rotations.${expected}`]);
  });

  it('a name that is no Key Vault secret’s', () => {
    expect(problemsOf(another('trainer_password'))).toEqual([
      expect.stringMatching(/^line \d+: rotations\.trainer_password: must be the name of a Key Vault secret/),
    ]);
  });
});

describe('a rotation that cannot be is refused, with the line', () => {
  it.each<[string, readonly [string, string], string]>([
    [
      'R2: a secret that ends before its successor’s overlap does',
      ['    lifetime: 60d', '    lifetime: 30d #!'],
      'rotations.trainer-password.lifetime: must be longer than rotateEvery and overlap together: it is 30d, they are 2592020s',
    ],
    [
      'R2: a secret that ends in the very second',
      ['    lifetime: 60d\n    overlap: 20s', '    lifetime: 31d #!\n    overlap: 24h'],
      'rotations.trainer-password.lifetime: must be longer than rotateEvery and overlap together: it is 31d, they are 31d',
    ],
    [
      'R4: an overlap as long as the time between two rotations',
      [keys, `${keys.replace('rotateEvery: 7d', 'rotateEvery: 7d, overlap: 7d')} #!`],
      'rotations.fraud-keys.overlap: must be shorter than rotateEvery: it is 7d, rotateEvery is 7d',
    ],
    [
      'the default overlap where rotateEvery is shorter',
      [keys, `${keys.replace('7d', '1h')} #!`],
      'rotations.fraud-keys.overlap: must be shorter than rotateEvery: it is 1d, rotateEvery is 1h',
    ],
    [
      'an endpoint in an unknown workspace',
      [keys, `${keys.replace('prod/', 'lab/')} #!`],
      'rotations.fraud-keys.endpointKeys: there is no workspace named lab',
    ],
    [
      'an endpoint in a workspace that nobody fetches for',
      [keys, `${keys.replace('prod/', 'dev/')} #!`],
      'rotations.fraud-keys.endpointKeys: the workspace dev needs fetch: the identity that obtains its endpoints’ tokens and keys',
    ],
    [
      'an endpoint that two rotations turn',
      [keys, `${keys}\n  more-keys: { endpointKeys: prod/fraud-scorer, rotateEvery: 9d } #!`],
      'rotations.more-keys.endpointKeys: is the endpoint of the rotation fraud-keys already: remove one',
    ],
    [
      'an identity of another application than its secret',
      [
        '      clientId: d0000000-0000-4000-8000-000000000001\n      secret',
        '      clientId: d0000000-0000-4000-8000-000000000002 #!\n      secret',
      ],
      'identities.trainer.servicePrincipal.clientId: is another than that of the rotation trainer-password, whose secret this is',
    ],
    [
      'an identity of another tenant than its secret',
      [
        '      tenantId: 11111111-1111-4111-8111-111111111111\n      clientId',
        '      tenantId: 11111111-1111-4111-8111-111111111112 #!\n      clientId',
      ],
      'identities.trainer.servicePrincipal.tenantId: is another than that of the rotation trainer-password, whose secret this is',
    ],
    [
      'an identity that reads the next secret, which does not sign in yet',
      ['      secret: trainer-password', '      secret: Trainer-Password-pending #!'],
      'identities.trainer.servicePrincipal.secret: is where the rotation trainer-password keeps its next secret: name trainer-password',
    ],
    [
      'an identity that signs in with an endpoint’s key',
      ['      secret: trainer-password', '      secret: fraud-keys #!'],
      'identities.trainer.servicePrincipal.secret: is the rotation fraud-keys, which is of an endpoint’s keys',
    ],
    [
      'a managed identity',
      [client, 'clientId: C0000000-0000-4000-8000-000000000001 #!\n    application'],
      'rotations.trainer-password.clientId: is the managed identity reader, which has no secret to rotate',
    ],
  ])('%s', (_what, change, expected) => {
    const { text, lines } = plant(change);
    expect(problemsOf(text)).toContain(`line ${lines[0]}: ${expected}`);
  });

  it('an endpoint that two rotations turn under two names of its workspace', () => {
    const { text, lines } = plant(
      [prod, `${prod}\n${prod.replace('prod:', 'again:')}`],
      [keys, `${keys}\n  more-keys: { endpointKeys: again/fraud-scorer, rotateEvery: 9d } #!`],
    );
    expect(problemsOf(text)).toEqual([
      `line ${lines[0]}: rotations.more-keys.endpointKeys: is the endpoint of the rotation fraud-keys already: remove one`,
    ]);
  });

  it.each([
    ['Trainer-Password', 'is the same Key Vault secret as trainer-password: letter case does not count'],
    ['trainer-password-Pending', 'is where the rotation trainer-password keeps its next secret: rename one'],
    ['token-cache-key', 'is, with or without -pending, the secret of the setting TOKEN_CACHE_KEY: rename one'],
  ])('the name %s beside the others', (name, expected) => {
    const text = another(name);
    expect(problemsOf(text)).toContain(`line ${lastLine}: rotations.${name}: ${expected}`);
  });

  it.each([
    [
      { application: 'd0000000-0000-4000-8000-0000000000a2' },
      'application: is another than that of the rotation trainer-password, which has the same clientId: one of them is wrong',
    ],
    [
      { clientId: 'd0000000-0000-4000-8000-000000000009' },
      'clientId: is another than that of the rotation trainer-password, which has the same application: one of them is wrong',
    ],
  ])('ids that name two applications at once: %j', (changes, expected) => {
    expect(problemsOf(another('second', changes))).toEqual([`line ${lastLine}: rotations.second.${expected}`]);
  });
});

describe('a rotation of the broker’s own', () => {
  const own = 'd0000000-0000-4000-8000-000000000001';
  const expected = (what: string) => [
    expect.stringMatching(new RegExp(`rotations.trainer-password.clientId: .*${what}`)),
  ];

  it.each([
    ['the id alone (v2 tokens)', `broker, ${own}`],
    ['the id in capitals', own.toUpperCase()],
    ['the id as a URI (v1 tokens)', `api://${own}`],
    ['the id in a longer URI', `api://contoso.example/${own}/`],
  ])('app is refused where the audience is %s', (_what, audience) => {
    const { text } = plant(['[api://broker, broker]', `[${audience}]`]);
    expect(problemsOf(text)).toEqual(expected('the broker’s own app .the audience of issuers.contoso.'));
  });

  const reserved = { tokenCacheKey: 'token-cache-key', brokerIdentityClientId: undefined };

  it('identity is refused where the setting names it, in any letter case', () => {
    const parsed = parsePolicy(goodPolicy, { ...reserved, brokerIdentityClientId: own.toUpperCase() });
    expect(parsed).toMatchObject({ ok: false, problems: expected('BROKER_IDENTITY_CLIENT_ID') });
  });

  it('token cache key is refused under the name that the setting gives it, with its twin', () => {
    for (const tokenCacheKey of ['trainer-password', 'TRAINER-PASSWORD-PENDING']) {
      expect(parsePolicy(goodPolicy, { ...reserved, tokenCacheKey })).toMatchObject({
        ok: false,
        problems: [expect.stringContaining('TOKEN_CACHE_KEY')],
      });
    }
    expect(parsePolicy(another('token-cache-key'), { ...reserved, tokenCacheKey: 'another' })).toMatchObject({
      ok: true,
    });
  });
});
