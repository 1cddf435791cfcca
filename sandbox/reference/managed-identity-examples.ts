import { plainRules } from './compare.ts';
import { type ExampleHandler, readExchange } from './example.ts';
import type { World } from './world.ts';

const appService: ExampleHandler = {
  compare: async (example, world: World) => {
    const { response } = readExchange(example);
    const resource = 'https://vault.azure.net';
    const url = `${world.urls.managedIdentity}/msi/token?resource=${resource}&api-version=2019-08-01`;
    const actual = await world.call({ method: 'GET', url, headers: { 'X-IDENTITY-HEADER': world.identityHeader } });
    // The documented token is cut after its first characters.
    const rules = { ...plainRules, placeholders: [...plainRules.placeholders, /^eyJ0eXAi…$/] };
    return [{ title: '', expected: response, actual, rules }];
  },
};

/** The identity endpoint of App Service. */
export const managedIdentityExamples: Record<string, ExampleHandler> = {
  'mi-appservice-2019-08-01.doc.json': appService,
  'mi-imds-2018-02-01.doc.json': {
    doesNotApply:
      'IMDS is for virtual machines; the broker runs on Azure Functions, whose endpoint is the App Service one',
  },
};
