import type { AuditRecord, WriteAudit } from '../../src/audit/record.ts';
import { BrokerError } from '../../src/errors.ts';
import { compileGrants } from '../../src/grants/compile.ts';
import type { Target } from '../../src/grants/target.ts';
import { createIssue, type IssueRequest, type Obtained } from '../../src/issuing/issue.ts';
import { createRefuse } from '../../src/issuing/refuse.ts';
import { aCaller, aPolicy } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';
import { createLogSpy } from '../support/ports.ts';

export const target: Target = { kind: 'endpointToken', workspace: 'prod', endpoint: 'fraud-aml' };
export const elsewhere: Target = { kind: 'endpointToken', workspace: 'prod', endpoint: 'churn-aml' };

export function aRequest(overrides: Partial<IssueRequest> = {}): IssueRequest {
  return { caller: aCaller(), target, correlationId: 'correlation-1', minRemainingSeconds: undefined, ...overrides };
}

interface FakeAudit {
  /** Thrown while it is set. */
  fault: Error | undefined;
  /** Awaited before each record. */
  before: () => Promise<unknown>;
  records: AuditRecord[];
}

export function setUp(policy = aPolicy()) {
  const time = createMovableClock();
  const { log, lines } = createLogSpy();
  const audit: FakeAudit = { fault: undefined, before: async () => undefined, records: [] };
  const { clock } = time;
  const policyHash = 'hash-of-the-policy';
  const writeAudit: WriteAudit = async (record) => {
    await audit.before();
    if (audit.fault !== undefined) throw audit.fault;
    audit.records.push(record);
  };
  const refuse = createRefuse({ policyHash, writeAudit, clock, log });
  const issue = createIssue({ grants: compileGrants(policy), policyHash, writeAudit, refuse, clock });
  /** Obtains a token with an hour to live, and counts. */
  const obtained = { times: 0 };
  const obtain = async (): Promise<Obtained<string>> => {
    obtained.times += 1;
    return { credential: 'the-secret-token', expiresOn: time.in(3600), identity: 'reader', answer: 'released' };
  };
  return { time, lines, audit, issue, obtain, obtained };
}

export const auditDown = () =>
  new BrokerError('audit_unavailable', { reason: 'no_store_accepted', retryAfterSeconds: 10 });
