import { describe, expect, it } from 'vitest';
import { admitRotation, policyLines } from '../../src/cli/policy-entry.ts';
import { parsePolicy } from '../../src/config/policy.ts';
import { parseSettings } from '../../src/config/settings.ts';
import { goodPolicy } from '../config/policy-text.ts';

const rotation = {
  name: 'imported-password',
  tenantId: '11111111-1111-4111-8111-111111111111',
  clientId: 'd0000000-0000-4000-8000-000000000009',
  application: 'd0000000-0000-4000-8000-0000000000a9',
  rotateEverySeconds: 30 * 86_400,
  lifetimeSeconds: 90 * 86_400,
  overlapSeconds: 90 * 60,
};

function configOf(policyText: string) {
  const settings = parseSettings({
    PUBLIC_URL: 'https://broker.example',
    KEY_VAULT_URL: 'https://vault.example',
    TOKEN_STORE_URL: 'https://store.example',
    AUDIT_STORE_URLS: 'https://audit.example',
    TOKEN_CACHE_KEY: 'cache-key',
  });
  const policy = parsePolicy(policyText);
  if (!settings.ok || !policy.ok) throw new Error('the fixture is broken');
  return { settings: settings.value, policy: policy.value, policyText };
}

const config = configOf(goodPolicy);
const own = 'b0000000-0000-4000-8000-000000000001';
const ownAudience = configOf(goodPolicy.replace('[api://broker, broker]', `[api://${own}]`));
const trainer = {
  name: 'trainer-password',
  clientId: 'd0000000-0000-4000-8000-000000000001',
  application: 'd0000000-0000-4000-8000-0000000000a1',
};

describe('a rotation to be imported', () => {
  it('is admitted where the policy with it would be good, with or without other rotations', () => {
    expect(admitRotation(rotation, config)).toEqual({ rotation, configured: false });
    const without = configOf(goodPolicy.slice(0, goodPolicy.indexOf('rotations:')));
    expect(admitRotation(rotation, without)).toEqual({ rotation, configured: false });
    const empty = configOf(`${without.policyText}rotations: {}\n`);
    expect(admitRotation(rotation, empty)).toEqual({ rotation, configured: false });
  });

  it('keeps the times of the policy where that has it already', () => {
    const admitted = admitRotation({ ...rotation, ...trainer }, config);
    expect(admitted).toMatchObject({ configured: true, rotation: { ...trainer, overlapSeconds: 20 } });
  });

  it.each([
    ['impossible times', { lifetimeSeconds: 86_400 }, config, 'must be longer than rotateEvery and overlap together'],
    ['the name of another application’s rotation', { name: 'trainer-password' }, config, 'Choose another --name'],
    ['a name that differs by case only', { name: 'Trainer-Password' }, config, 'letter case does not count'],
    ['the name of a pending secret', { name: 'trainer-password-pending' }, config, 'keeps its next secret'],
    ['the name of the broker’s own key', { name: 'cache-key' }, config, 'TOKEN_CACHE_KEY'],
    ['the broker’s own application', { clientId: own }, ownAudience, 'the broker’s own app'],
  ])('is refused with %s', (_, changes, against, why) => {
    expect(() => admitRotation({ ...rotation, ...changes }, against)).toThrow(why);
  });

  it('is printed as the policy takes it', () => {
    const lines = policyLines(rotation);
    const text = goodPolicy.replace('rotations:\n', `${lines.join('\n').split('\n\n')[0]}\n`);
    expect(parsePolicy(text)).toMatchObject({
      ok: true,
      value: { rotations: { 'imported-password': { overlap: 5400, rotateEvery: 30 * 86_400 } } },
    });
    expect(lines.join('\n')).toContain('secret: imported-password }');
  });
});
