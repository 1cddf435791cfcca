import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { findResource } from '../../sandbox/entra/resources.ts';
import { page, readRows, recipe, sharedFile } from './callers-page.ts';

const read = (name: string) => readFile(new URL(name, import.meta.url), 'utf8');
const e2e = await read('../e2e/callers.test.ts');
const clients = await read('../../docs/clients.md');

/** Literal titles of tests that run. */
const titles = new Set([...e2e.matchAll(/^ *it\('([^']+)', async/gm)].map(([, title]) => title));

/** What callers of Azure ML have: each must have its row. */
const kinds = [
  /browser/,
  /another device/,
  /`az` session/,
  /Azure PowerShell/,
  /`AZURE_\*`/,
  /`AML_\*`/,
  /managed identity, virtual machine/,
  /managed identity, compute cluster/,
  /managed identity, compute instance/,
  /managed identity, Logic App/,
  /TokenAuthentication\.get_token_for_audience/,
  /run-scoped Azure ML token/,
  /web service with tokens/,
  /web service with keys/,
];

describe('the page on callers', () => {
  it('has one row for each kind of caller', () => {
    const callers = readRows().map(({ caller }) => caller);
    expect(callers).toHaveLength(kinds.length);
    for (const kind of kinds) expect(callers.filter((caller) => kind.test(caller))).toHaveLength(1);
  });

  it.each(readRows())('names for "$caller" a test that exists and runs its recipe', ({ recipe: name, test }) => {
    expect(titles).toContain(test);
    expect(recipe(name)).not.toBe('');
    const [, body = ''] = e2e.split(`it('${test}', async`);
    const [own = ''] = body.split(/\n {2}it\(|\n\}\);/);
    expect(own).toContain(`'${name}'`);
  });

  it('names every test of the recipes, and those of its other sections', () => {
    const named = [
      ...readRows().map(({ test }) => test),
      ...[...page.matchAll(/\(Test: (.+?)\.\)/g)].map(([, one]) => one),
    ];
    expect(new Set(named)).toEqual(titles);
  });

  it('shows the shared file that the recipes import', () => {
    expect(sharedFile()).toContain("from 'aml-token-broker/client'");
  });

  it('links to headings that exist', () => {
    for (const [, anchor = ''] of page.matchAll(/\]\(#([a-z0-9-]+)\)/g)) expect(page).toContain(`\n### ${anchor}\n`);
  });
});

describe('the Conditional Access applications', () => {
  const [, section = ''] = page.split('## Conditional Access\n');
  const idOf = (name: string) => new RegExp(`\\| ${name} \\| \`([^\`]+)\` \\|`).exec(section)?.[1] ?? '';

  it('are GUIDs, and those of the resources that tokens are asked for', () => {
    expect(findResource(idOf('Azure Machine Learning'))?.uris).toContain('https://ml.azure.com');
    expect(findResource(idOf('Windows Azure Service Management API'))?.uris).toContain('https://management.azure.com');
    expect(idOf('Azure Machine Learning Web App')).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  });

  it('are told apart from the malformed id of old documents, which is named as such once', () => {
    expect(page.match(/`0736f41a-0425-bdb5-1563eff02385`, one group short/g)).toHaveLength(1);
    expect(page.match(/0736f41a-0425-bdb5/g)).toHaveLength(1);
  });
});

describe('the page on clients', () => {
  it('shows the Python file word for word', async () => {
    const file = await read('../../docs/python/broker_credential.py');
    expect(clients).toContain(`\`\`\`python\n${file}\`\`\``);
    expect(file.split('\n').length).toBeLessThanOrEqual(32);
  });

  it('shows options that the class has', async () => {
    const source = await read('../../client/broker-credential.ts');
    const [, table = ''] = clients.split('| option |');
    const options = [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name);
    const [, declared = ''] = /export interface BrokerCredentialOptions \{([\s\S]*?)\n\}/.exec(source) ?? [];
    expect(options).toEqual([...declared.matchAll(/^ {2}(\w+)\??:/gm)].map(([, name]) => name));
  });
});
