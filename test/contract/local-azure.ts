import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { TokenCredential } from '@azure/core-auth';
import { appClaims } from '../../sandbox/entra/claims.ts';
import { type EntraKeys, ensureEntraKeys } from '../../sandbox/entra/keys.ts';
import { type FaultBody, type Handler, type ServiceName, serve } from '../../sandbox/http/service.ts';
import { TENANT_ID } from '../../sandbox/seed.ts';
import { type CallLog, createCallLog } from '../../sandbox/state/call-log.ts';
import { createFaults, type Faults } from '../../sandbox/state/faults.ts';
import { systemRandom } from '../../sandbox/state/random.ts';
import { type Certificates, ensureCertificates } from '../../sandbox/tls/certificates.ts';

/** Who a token is for: an application and its service principal. */
export interface Principal {
  appId: string;
  oid: string;
}

/** What one pretend service needs around it: keys, certificates, a clock that the test moves, a place for servers. */
export interface LocalAzure {
  folder: string;
  keys: EntraKeys;
  certificates: Certificates;
  calls: CallLog;
  faults: Faults;
  clock: () => Date;
  advanceSeconds(seconds: number): void;
  /** A v1 access token as Entra makes it; one hour, or `lifetimeSeconds`. */
  token(principal: Principal, audience: string, lifetimeSeconds?: number): Promise<string>;
  /** For the Azure SDKs: gives tokens for the audience of the scope that they ask for. */
  credential(principal: Principal): TokenCredential & { scopes: string[] };
  /** Runs one handler over HTTPS on a free port of loopback; gives its URL. */
  serve(name: ServiceName, handler: Handler, faultBody: FaultBody): Promise<string>;
  /** Registers what `stop` has to stop. */
  keep<One extends { stop(): Promise<void> }>(one: One): One;
  stop(): Promise<void>;
}

/** Makes the surroundings in a folder of their own, and lets this process trust their CA. */
export async function createLocalAzure(): Promise<LocalAzure> {
  const folder = await mkdtemp(join(tmpdir(), 'contract-'));
  let offsetMs = 0;
  const clock = () => new Date(Date.now() + offsetMs);
  const [certificates, keys] = await Promise.all([
    ensureCertificates(folder, clock()),
    ensureEntraKeys(folder, clock()),
  ]);
  setDefaultCACertificates([...getCACertificates('default'), await readFile(certificates.caCertificate, 'utf8')]);
  const [calls, faults] = [createCallLog(), createFaults()];
  const running: { stop(): Promise<void> }[] = [];

  const token: LocalAzure['token'] = ({ appId, oid }, audience, lifetimeSeconds = 3600) => {
    const basis = { version: '1.0', tenant: TENANT_ID, audience, appId, oid, acr: '1', now: clock() } as const;
    return keys.sign(appClaims({ ...basis, lifetimeSeconds }, systemRandom), '1.0');
  };
  return {
    folder,
    keys,
    certificates,
    calls,
    faults,
    clock,
    token,
    advanceSeconds(seconds) {
      offsetMs += seconds * 1000;
    },
    credential(principal) {
      const scopes: string[] = [];
      return {
        scopes,
        async getToken(asked) {
          const scope = typeof asked === 'string' ? asked : (asked[0] ?? '');
          scopes.push(scope);
          const accessToken = await token(principal, scope.replace(/\/\.default$/, ''));
          return { token: accessToken, expiresOnTimestamp: Date.now() + 3_600_000 };
        },
      };
    },
    async serve(name, handler, faultBody) {
      const { tls } = certificates;
      const listener = await serve({ name, port: 0, tls, handler, faultBody, calls, faults, clock });
      running.push(listener);
      return `https://localhost:${listener.port}`;
    },
    keep(one) {
      running.push(one);
      return one;
    },
    async stop() {
      await Promise.all(running.map((one) => one.stop()));
      await rm(folder, { recursive: true });
    },
  };
}

/** One HTTP answer, read whole; `body` is undefined when it is not JSON. */
export interface PlainAnswer {
  status: number;
  headers: Record<string, string>;
  text: string;
  body: unknown;
}

/** Calls a URL as it is, with a bearer token and a JSON body where given. */
export async function callPlain(
  method: string,
  url: string,
  input: { token?: string; json?: unknown; text?: string; headers?: Record<string, string> } = {},
): Promise<PlainAnswer> {
  const content = input.json === undefined ? input.text : JSON.stringify(input.json);
  const response = await fetch(url, {
    method,
    headers: {
      ...(input.token === undefined ? {} : { authorization: `Bearer ${input.token}` }),
      ...(content === undefined ? {} : { 'content-type': 'application/json' }),
      ...input.headers,
    },
    ...(content === undefined ? {} : { body: content }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true && text !== '';
  const body: unknown = isJson ? JSON.parse(text) : undefined;
  return { status: response.status, headers: Object.fromEntries(response.headers), text, body };
}
