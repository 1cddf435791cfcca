import { afterAll, beforeAll, it } from 'vitest';
import { managedIdentityCredential } from '../../../src/azure/credentials.ts';
import { createReadSecret } from '../../../src/azure/key-vault.ts';
import { createFetchEntraKeys } from '../../../src/azure/entra-keys.ts';
import { createTables } from '../../../src/azure/tables.ts';
import { createMachineLearning } from '../../../src/azure/machine-learning.ts';
import { createObtainToken } from '../../../src/azure/credentials.ts';
import { createTokenStore } from '../../../src/azure/token-store.ts';
import { createAuditStore } from '../../../src/azure/audit-store.ts';
import { nameError } from '../../../src/log.ts';
import { startAzure, type TestAzure } from '../azure.ts';
import { aWorkspace, aRecord, anEndpoint, anEndpointToken } from '../../support/builders.ts';
let azure: TestAzure;
beforeAll(async () => { azure = await startAzure(); });
afterAll(() => azure.stop());
it('x', async () => {
  const own = managedIdentityCredential(undefined);
  const bodies: [string, Record<string,string>, string][] = [['empty', {}, ''], ['html', {'content-type':'text/html'}, '<html>'], ['json{}', {'content-type':'application/json'}, '{}'], ['json null', {'content-type':'application/json'}, 'null'], ['badjson', {'content-type':'application/json'}, '{"a'] , ['jsonstr', {'content-type':'application/json'}, '"x"']];
  for (const status of [200, 302, 400, 403, 404, 429, 503]) for (const [name, headers, text] of bodies) {
    const odd = await azure.serveOdd({ status, headers: status===302?{...headers, location:'https://127.0.0.1:1/'}:headers, text });
    const tables = createTables('token store', `${odd.url}/acc`, own);
    const key = { keyId: 'k', key: new Uint8Array(32) };
    const store = createTokenStore({ tables, keys: { current: async () => key, byId: async () => key }, clock: () => new Date(), report: () => undefined });
    const ml = createMachineLearning({ armEndpoint: odd.url, armScope: 'https://management.azure.com/.default', credentialOf: () => own, clock: () => new Date() });
    const audit = createAuditStore({ tables, name: 'a', instanceId: 'i', newId: () => crypto.randomUUID() });
    const obtain = createObtainToken({ identities: { t: { use: 'issue', servicePrincipal: { tenantId: azure.tenantId, clientId: 'd0000000-0000-4000-8000-000000000001', secret: 's' } } }, authorityHost: odd.url, instanceDiscovery: false, readSecret: async () => ({ value: 'v', version: '1' }) });
    const all: Record<string, () => Promise<unknown>> = {
      vault: () => createReadSecret({ url: odd.url, credential: own, challengeVerification: false })('n'),
      keys: () => createFetchEntraKeys(odd.url)(azure.tenantId),
      read: () => store.read(anEndpoint().id, 'reader'),
      write: () => store.write({ endpoint: anEndpoint(), identity: 'reader', token: anEndpointToken() }),
      remove: () => store.remove(anEndpoint().id, 'reader'),
      ensure: () => tables.ensure('abc'), drop: () => tables.drop('abc'), tlist: () => tables.list('a'),
      audit1: () => audit.append([aRecord()]), audit2: () => audit.append([aRecord(), aRecord()]),
      mlist: () => ml.listEndpoints(aWorkspace()), get: () => ml.getEndpoint(aWorkspace(), 'x'), token: () => ml.getToken(aWorkspace(), 'x'), lkeys: () => ml.listKeys(aWorkspace(), 'x'),
      obtain: () => obtain('t', 'https://management.azure.com/.default'),
    };
    for (const [which, call] of Object.entries(all)) {
      const before = odd.requests.length; const t = performance.now();
      const outcome = await call().then((v) => `OK ${JSON.stringify(v)?.slice(0,60)}`, (e) => nameError(e));
      console.log(`${status} ${name} | ${which} | ${odd.requests.length - before} calls ${Math.round(performance.now()-t)}ms | ${outcome}`);
    }
    await odd.stop();
  }
}, 300_000);
