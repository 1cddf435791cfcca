import * as z from 'zod';
import { TENANT_ID, TRAINER } from '../seed.ts';
import { type Allowance, type CompareRules, plainRules } from './compare.ts';
import { type ExampleHandler, pathOf, readExchange } from './example.ts';
import { commonNames, type World } from './world.ts';

function entraRules(world: World, allow: readonly Allowance[] = []): CompareRules {
  const slices = [
    { label: 'slice', example: 'NCUS ProdSlices', ours: 'NCUS ProdSlices' },
    { label: 'slice', example: 'EUS ProdSlices', ours: '' },
  ];
  return { ...plainRules, names: [...commonNames(world), ...slices], allow };
}

/** Asks our Entra the recorded question, with our tenant in place of the recorded one. */
function replay(allow: readonly Allowance[]): ExampleHandler {
  return {
    compare: async (example, world) => {
      const recorded = readExchange(example);
      const path = pathOf(recorded).replaceAll('12345678-1234-1234-1234-123456789012', TENANT_ID);
      const actual = await world.call({ method: recorded.request.method, url: `${world.urls.entra}${path}` });
      return [{ title: '', expected: recorded.response, actual, rules: entraRules(world, allow) }];
    },
  };
}

const clientCredentials: ExampleHandler = {
  compare: async (example, world) => {
    const form = {
      client_id: TRAINER.appId,
      scope: 'https://vault.azure.net/.default',
      grant_type: 'client_credentials',
      client_secret: await trainerPassword(world),
    };
    const actual = await world.call({
      method: 'POST',
      url: `${world.urls.entra}/${TENANT_ID}/oauth2/v2.0/token`,
      form,
    });
    const lifetime = 'the lifetime is a setting of the sandbox';
    const rules = entraRules(world, [
      { path: 'body.expires_in', kind: 'value', reason: lifetime },
      { path: 'body.ext_expires_in', kind: 'value', reason: lifetime },
    ]);
    const placeholders = [...rules.placeholders, /^access_token$/];
    return [{ title: '', expected: readExchange(example).response, actual, rules: { ...rules, placeholders } }];
  },
};

/** Elsewhere our own host must stand where the recording has the public one. */
function publicHost(path: string, reason: string): Allowance[] {
  return [{ path, kind: 'value', reason: `the public host also with us: ${reason}` }];
}

async function trainerPassword(world: World): Promise<string> {
  const url = `${world.urls.keyVault}/secrets/${TRAINER.secretName}/?api-version=2026-04-01`;
  const headers = await world.authorize('https://vault.azure.net', null);
  return z.object({ value: z.string() }).parse((await world.call({ method: 'GET', url, headers })).body).value;
}

/** Microsoft Entra ID. */
export const entraExamples: Record<string, ExampleHandler> = {
  'entra-error-90002-invalid-tenant.recorded.json': replay(
    publicHost('body.error_uri', 'a link for people, not part of the sandbox'),
  ),
  'entra-instance-discovery.recorded.json': replay(
    publicHost('body.tenant_discovery_endpoint', 'names the host of the authority that the question names'),
  ),
  'entra-openid-configuration-v2.recorded.json': replay(
    publicHost('body.issuer', 'tokens of the sandbox carry the issuers of the public cloud'),
  ),
  'entra-token-client-credentials.recorded.json': clientCredentials,
};
