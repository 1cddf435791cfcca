import type { SandboxEndpoints } from '../broker-settings.ts';

export interface RunningBroker {
  broker: string;
  brokerTls: string;
  endpoints: SandboxEndpoints;
  logFile: string;
}

/** What `npm start` tells when all runs: what is where, and three commands to try. */
export function greetingWithBroker({ broker, brokerTls, endpoints, logFile }: RunningBroker): string {
  const token = `$(${callerTokenCommand(endpoints.control)})`;
  return [
    'The broker runs, with a local Azure beside it. Ctrl-C stops both.',
    '',
    ...table({ broker, 'broker (TLS)': brokerTls, ...services(endpoints), 'broker log': logFile }),
    '',
    'Try it in another terminal. A token for the endpoint fraud-aml, a token for the workspace prod, and what this caller may have:',
    '',
    post(`${broker}/workspaces/prod/endpoints/fraud-aml/token`, token),
    post(`${broker}/workspaces/prod/token`, token),
    `curl -s ${broker}/workspaces -H "authorization: Bearer ${token}"`,
    '',
    'Watch the whole job: npm run tour',
  ].join('\n');
}

export interface RunningSandbox {
  brokerPort: number;
  endpoints: SandboxEndpoints;
  settingsFile: string;
}

/** What `npm run sandbox` tells: the same without the broker, and how to start that under Azure Functions Core Tools. */
export function greetingWithoutBroker({ brokerPort, endpoints, settingsFile }: RunningSandbox): string {
  const port = brokerPort === 7071 ? '' : ` --port ${brokerPort}`;
  return [
    'The local Azure runs, without the broker. Ctrl-C stops it.',
    '',
    ...table(services(endpoints)),
    '',
    'Start the broker in another terminal, with Azure Functions Core Tools:',
    '',
    `cp ${settingsFile} local.settings.json && func start${port}`,
  ].join('\n');
}

function callerTokenCommand(control: string): string {
  return `curl -s -X POST ${control}/callers -H 'content-type: application/json' -H 'accept: text/plain' -d '{}'`;
}

function post(url: string, token: string): string {
  return `curl -s -X POST ${url} -H "authorization: Bearer ${token}" -H 'content-type: application/json' -d '{}'`;
}

function services(endpoints: SandboxEndpoints): Record<string, string> {
  return {
    Entra: endpoints.entra,
    'managed identity': endpoints.managedIdentity,
    'Key Vault': endpoints.keyVault,
    ARM: endpoints.arm,
    Graph: endpoints.graph,
    scoring: endpoints.scoring,
    tables: endpoints.tables,
    'audit tables': endpoints.audit,
    control: endpoints.control,
  };
}

function table(rows: Record<string, string>): string[] {
  return Object.entries(rows).map(([name, value]) => `  ${name.padEnd(18)}${value}`);
}
