import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { WEB_SERVICES } from '../../sandbox/seed.ts';
import { clouds } from '../../src/config/clouds.ts';
import { plant, problemsOf } from '../config/policy-text.ts';

const page = await readFile(new URL('../../docs/web-services.md', import.meta.url), 'utf8');

it('the page on web services says first that nothing of it has run against live Azure', () => {
  expect(page.split('\n')[2]).toMatch(/^\*\*Unverified against live Azure\.\*\* Support of SDK v1 ended/);
});

it('the page on web services names the services that the sandbox has and the hosts that are asked', () => {
  for (const { name } of WEB_SERVICES) expect(page).toContain(`${name}: { kind: webService }`);
  for (const cloud of Object.values(clouds)) {
    expect(page).toContain(`\`${cloud.amlRegionEndpoint('{region}').replace('https://', '')}\``);
  }
});

it('the page on web services shows entries that a policy takes', () => {
  const declared = /endpoints: (\{ .* \})`/.exec(page)?.[1] ?? '';
  const granted = /\{ endpointToken: prod\/churn-v1 \}/.exec(page)?.[0] ?? '';
  const { text } = plant(
    ['workspace_name: ml-prod, fetch: reader }', `workspace_name: ml-prod, fetch: reader, endpoints: ${declared} }`],
    ['      - { endpointToken: prod/fraud-* }', `      - ${granted}`],
  );
  expect(problemsOf(text)).toEqual([]);
});
