import { type Policy, parsePolicy } from '../config/policy.ts';
import { createPolicyInForce, type InForce, PAUSE_SECONDS, type PolicyNews } from '../config/policy-in-force.ts';
import { isBlobUrl, type PolicySource } from '../config/policy-source.ts';
import { BrokerError, UpstreamError } from '../errors.ts';
import { createHealth, type Part, type Probes, type Report } from '../health.ts';
import { type Log, nameError } from '../log.ts';
import type { Broker } from '../triggers.ts';
import { type Base, buildBase } from './base.ts';
import type { Context } from './context.ts';
import { createKept } from './kept.ts';
import { buildOperations, buildProbes } from './operations.ts';
import { createPolicyFile } from './policy-file.ts';
import { buildSources, type Sources } from './sources.ts';

export interface BrokerOptions extends Omit<Context, 'report'> {
  /** Relative paths count from here. */
  appFolder: string;
}

interface Built {
  policy: Policy;
  operations: Omit<Broker, 'health'>;
}

/**
 * The broker under the policy that is in force at each call. Its caches, stores and readiness stay while policies come
 * and go.
 *
 * @returns rejects with `config_invalid` (no good policy was there yet) or `policy_unavailable` (unread for too long)
 */
export async function createBroker({ appFolder, ...options }: BrokerOptions): Promise<() => Promise<Broker>> {
  const { settings, clock, log } = options;
  const report: Report = (...told) => health.report(...told);
  const context: Context = { ...options, report };
  const base = buildBase(context);
  const sourcesOf = createKept<Sources>();
  let probes: Omit<Probes, 'policy'> | undefined;
  const probe = (part: Exclude<Part, 'policy'>) => async () => probes?.[part]();
  const health = createHealth({
    clock,
    probes: {
      // Every request looks at the policy where that is due, and tells how it went.
      policy: async () => undefined,
      callerKeys: probe('callerKeys'),
      auditStore: probe('auditStore'),
      tokenStore: probe('tokenStore'),
      tokenCacheKey: probe('tokenCacheKey'),
      keyVault: probe('keyVault'),
      identities: probe('identities'),
      machineLearning: probe('machineLearning'),
    },
  });

  const make = (policy: Policy): Built => {
    const { identities, workspaces } = policy;
    const sources = sourcesOf({ identities, workspaces }, () => buildSources(context, base.own, base.stores, policy));
    const operations = buildOperations(context, base, sources, policy);
    probes = buildProbes(context, base, sources, policy);
    return { policy, operations };
  };
  const inForce = createPolicyInForce({
    source: policySource(context, base, appFolder),
    make: (text) => {
      const parsed = parsePolicy(text, settings);
      return parsed.ok ? { ok: true, value: make(parsed.value) } : parsed;
    },
    clock,
    news: tellNews(log, report, (part) => health.renew(part)),
  });
  const broker = async (): Promise<Broker> => {
    const found = await inForce();
    if (found.ok) return { ...found.value.operations, health };
    throw toError(found);
  };

  // A policy that is not there yet, or a broken one, may be good at the next look; it has been told in the log.
  const ready = await broker().then(
    () => true,
    () => false,
  );
  if (settings.role === 'all') {
    await base.stores
      .keepAuditTables()
      .catch((error) => log.error('audit_tables_not_kept', { error: nameError(error) }));
  }
  // Begun, not awaited: a part that hangs must not keep callers from the others.
  if (ready && settings.role !== 'rotator') void health.readiness();
  return broker;
}

function policySource({ azure, settings }: Context, { own }: Base, appFolder: string): PolicySource {
  return isBlobUrl(settings.policy)
    ? azure.createPolicyBlob({ url: settings.policy, scope: settings.cloud.storageScope, credential: own.credential })
    : createPolicyFile(appFolder, settings.policy);
}

/** What the policy's owner must see: each problem of a refused version, and that the one before it is still in force. */
function tellNews(log: Log, report: Report, renew: (part: Part) => void): PolicyNews {
  let inForce: string | undefined;
  return {
    taken(version) {
      log.info('policy_taken', { version, before: inForce });
      if (inForce !== undefined)
        for (const part of ['callerKeys', 'identities', 'machineLearning'] as const) renew(part);
      inForce = version;
    },
    refused(problems, version) {
      for (const problem of problems) log.error('config_problem', { problem });
      log.error('policy_refused', { version, problems: problems.length, inForce });
    },
    unread(error) {
      if (inForce === undefined && error instanceof BrokerError) log.error('config_problem', { problem: error.reason });
      else log.error('policy_unread', { error: nameError(error), inForce });
    },
    state: (state) => report('policy', state),
  };
}

function toError(found: Exclude<InForce<unknown>, { ok: true }>): BrokerError {
  if (found.why === 'broken') {
    return new BrokerError('config_invalid', { reason: 'the policy has problems, each in a config_problem line' });
  }
  const { why, error } = found;
  // A file that is not in the package is a mistake; a blob that cannot be had may come.
  if (why === 'never_read' && error instanceof BrokerError) return error;
  const retryAfterSeconds = (error instanceof UpstreamError ? error.retryAfterSeconds : undefined) ?? PAUSE_SECONDS;
  return new BrokerError('policy_unavailable', { reason: nameError(error), cause: error, retryAfterSeconds });
}
