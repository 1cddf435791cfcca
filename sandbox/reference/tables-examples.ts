import { type Answer, onlyListedHeaders } from './answer.ts';
import { type Allowance, plainRules } from './compare.ts';
import { type Comparison, type ExampleHandler, pathOf, type RecordedExchange, readExchanges } from './example.ts';
import type { World } from './world.ts';

const resource = 'https://storage.azure.com';

const roundTrip: ExampleHandler = {
  compare: async (example, world) => {
    const comparisons: Comparison[] = [];
    for (const [index, recorded] of readExchanges(example).entries()) {
      const actual = onlyListedHeaders(await replay(recorded, world), recorded.response);
      const allow: Allowance[] = [];
      const names = [
        { label: 'tables', example: 'http://<host>/devstoreaccount1', ours: world.urls.tables },
        { label: 'guid', example: '<guid>', ours: '' },
      ];
      comparisons.push({
        title: `answer ${index + 1}`,
        expected: recorded.response,
        actual,
        rules: { ...plainRules, names, allow },
      });
    }
    return comparisons;
  },
};

/** The account's name in a path is ours; the stale ETag is one that was never given. */
function replay(recorded: RecordedExchange, world: World): Promise<Answer> {
  const url = `${world.urls.tables}${pathOf(recorded).replace('/devstoreaccount1', '')}`;
  return send(recorded, world, url);
}

async function send({ request }: RecordedExchange, world: World, url: string): Promise<Answer> {
  const headers = {
    ...(await world.authorize(resource, null)),
    'x-ms-version': '2019-02-02',
    'x-ms-date': new Date().toUTCString(),
    accept: 'application/json;odata=minimalmetadata',
    dataserviceversion: '3.0',
    ...(request.headers.Prefer === undefined ? {} : { prefer: request.headers.Prefer }),
    ...(request.headers['If-Match'] === undefined
      ? {}
      : { 'if-match': `W/"datetime'2020-01-01T00%3A00%3A00.0000000Z'"` }),
  };
  const content = request.body === undefined || request.body === null ? {} : { json: request.body };
  return world.call({ method: request.method, url, headers, ...content });
}

/** Table Storage: the real Azurite behind the sandbox's proxy. */
export const tablesExamples: Record<string, ExampleHandler> = {
  'tables-azurite-roundtrip.run.json': roundTrip,
};
