import http from 'node:http';
import { startTestBroker } from '../test/support/broker.ts';
import { build } from '../tools/build.ts';

/**
 * What issuing costs on the hot path, as ratios against `GET /health/live` on the same host in the same run: the same
 * library, host and machine, with nothing of the broker's work. Run it with `node bench/issue.ts`.
 */

const CONNECTIONS = 16;
const ROUND_MS = 2000;
const ROUNDS = 3;

interface Load {
  name: string;
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string;
}

/** One request on a kept connection; resolves when the answer has been read. */
function send(agent: http.Agent, base: URL, { method, path, headers, body }: Load): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = http.request({ agent, host: base.hostname, port: base.port, method, path, headers }, (answer) => {
      if (answer.statusCode !== 200) reject(new Error(`${method} ${path} answered ${answer.statusCode}`));
      answer.resume().on('end', resolve);
    });
    request.on('error', reject).end(body);
  });
}

/** Requests per second of a closed loop over all connections. */
async function measure(base: URL, load: Load): Promise<number> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const end = performance.now() + ROUND_MS;
  let count = 0;
  const worker = async () => {
    while (performance.now() < end) {
      await send(agent, base, load);
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  agent.destroy();
  return count / (ROUND_MS / 1000);
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

await build();
const broker = await startTestBroker({
  sandbox: { SANDBOX_ENDPOINT_TOKEN_SECONDS: '86400', SANDBOX_ENDPOINT_REFRESH_AFTER_SECONDS: '43200' },
  // One caller asks for all of it.
  settings: { CALLER_REQUESTS_PER_MINUTE: '10000000' },
});
try {
  const token = await broker.sandbox.callerToken();
  const issuing = { 'Content-Type': 'application/json', 'Content-Length': '2', Authorization: `Bearer ${token}` };
  const loads: [Load, ...Load[]] = [
    { name: 'baseline: GET /health/live', method: 'GET', path: '/health/live', headers: {}, body: '' },
    {
      name: 'GET /workspaces',
      method: 'GET',
      path: '/workspaces',
      headers: { Authorization: `Bearer ${token}` },
      body: '',
    },
    {
      name: 'POST …/endpoints/fraud-aml/token',
      method: 'POST',
      path: '/workspaces/prod/endpoints/fraud-aml/token',
      headers: issuing,
      body: '{}',
    },
    {
      name: 'POST /workspaces/prod/token',
      method: 'POST',
      path: '/workspaces/prod/token',
      headers: issuing,
      body: '{}',
    },
  ];
  const base = new URL(broker.host.url);
  const rates = new Map<string, number[]>();
  // Rounds are interleaved, so that a busy moment of the machine hits all loads alike. The first warms up.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const load of loads) {
      const rate = await measure(base, load);
      if (round > 0) rates.set(load.name, [...(rates.get(load.name) ?? []), rate]);
    }
  }
  const baseline = median(rates.get(loads[0].name) ?? []);
  for (const { name } of loads) {
    const ratio = median(rates.get(name) ?? []) / baseline;
    console.log(`${ratio.toFixed(2)} of the baseline's requests per second  ${name}`);
  }
  const upstream = await broker.calls(/fraud-aml\/token$/);
  console.log(`${upstream.length} upstream token call(s) for all of it`);
} finally {
  await broker.stop();
}
