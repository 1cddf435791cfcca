import { randomUUID } from 'node:crypto';
import { tryEachStore } from '../audit/recorder.ts';
import { createFindIssuer, keySourcesOf } from '../callers/trusted-issuers.ts';
import { identityNames, type Policy } from '../config/policy.ts';
import { parseQuestion } from '../config/question.ts';
import { toRotations } from '../config/rotations.ts';
import { fetchedWorkspaces } from '../freshness/fetched-workspaces.ts';
import { createRefresh } from '../freshness/refresh.ts';
import { createAnswerExplain } from '../grants/answer-explain.ts';
import { compileGrants } from '../grants/compile.ts';
import { createExplain } from '../grants/explain.ts';
import { createFindByIdentity } from '../grants/find-by-identity.ts';
import { createOperators } from '../grants/operators.ts';
import type { Probes } from '../health.ts';
import { createIssueEndpointKey } from '../issuing/endpoint-key.ts';
import { createIssueEndpointToken } from '../issuing/endpoint-token.ts';
import { createExchange } from '../issuing/exchange.ts';
import { createIssue } from '../issuing/issue.ts';
import { createListWorkspaces } from '../issuing/list-workspaces.ts';
import { createRefuse } from '../issuing/refuse.ts';
import { createUseEndpoint } from '../issuing/use-endpoint.ts';
import { createIssueWorkspaceToken } from '../issuing/workspace-token.ts';
import { createFindKeyInUse } from '../rotation/key-in-use.ts';
import { createRotationGroup } from '../rotation/request-records.ts';
import { createRotationRequests } from '../rotation/requests.ts';
import { keyDetails, secretDetails } from '../rotation/state.ts';
import type { Broker } from '../triggers.ts';
import type { Base } from './base.ts';
import type { Context } from './context.ts';
import type { Sources } from './sources.ts';
import { buildVerifier } from './verifier.ts';

/** All operations of the broker on one policy. What they remember beyond a request lives in `base` and `sources`. */
export function buildOperations(
  context: Context,
  base: Base,
  { identities, machineLearning, catalogue, tokens }: Sources,
  policy: Policy,
): Omit<Broker, 'health'> {
  const { settings, clock, log } = context;
  const { stores, writeAudit } = base;
  const { cloud } = settings;
  const grants = compileGrants(policy);
  const workspaces = fetchedWorkspaces(policy.workspaces);
  const policyHash = policy.hash;
  const refuse = createRefuse({ policyHash, writeAudit, clock, log });
  const issue = createIssue({ grants, policyHash, writeAudit, refuse, clock });
  const useEndpoint = createUseEndpoint(workspaces, catalogue);
  const decideOperator = createOperators(policy);
  const rotations = toRotations(policy);
  const { records } = stores;
  const findKeyInUse = createFindKeyInUse({
    rotations: rotations.endpointKeys,
    ...{ workspaces, records: records.endpointKeys, clock, log },
  });
  const scopes = { aml: cloud.amlScope, arm: cloud.armScope };
  const issueWorkspaceToken = createIssueWorkspaceToken({
    issue,
    appToken: identities.issueToken,
    userToken: identities.userToken,
    actsForUsers: identities.actsForUsers,
    scopes,
  });
  const issueEndpointToken = createIssueEndpointToken({
    ...{ issue, grants, useEndpoint, tokens },
    appToken: identities.issueToken,
    amlScope: cloud.amlScope,
  });
  return {
    verifyCaller: buildVerifier(context, base, policy),
    rotatorRound: base.rotatorRoundOf(policy, machineLearning),
    explain: createAnswerExplain({
      ...{ decideOperator, refuse, clock },
      readQuestion: parseQuestion,
      explain: createExplain(policy),
      findIssuer: createFindIssuer(policy.issuers, cloud),
    }),
    rotations: createRotationRequests({
      decideOperator,
      groups: [
        createRotationGroup({
          kind: 'secret',
          ...{ rotations: rotations.secrets, records: records.secrets, details: secretDetails },
        }),
        createRotationGroup({
          kind: 'endpointKeys',
          ...{ rotations: rotations.endpointKeys, records: records.endpointKeys, details: keyDetails },
        }),
      ],
      ...{ refuse, writeAudit, policyHash, publicUrl: settings.publicUrl, clock, newId: randomUUID },
    }),
    issueWorkspaceToken,
    issueEndpointToken,
    oauth: { publicUrl: settings.publicUrl, scopes, armEndpoint: cloud.armEndpoint },
    exchange: createExchange({
      findByIdentity: createFindByIdentity(policy),
      ...{ issueWorkspaceToken, issueEndpointToken, refuse, clock },
    }),
    issueEndpointKey: createIssueEndpointKey({ issue, useEndpoint, machineLearning, findKeyInUse }),
    listWorkspaces: createListWorkspaces({
      grants,
      names: Object.keys(policy.workspaces),
      workspaces,
      catalogue,
      refuse,
    }),
    refresh: createRefresh({
      workspaces: grants.workspacesWithEndpoints.flatMap((name) => workspaces.get(name) ?? []),
      ...{ grants, catalogue, tokens, log },
    }),
  };
}

/** How readiness tries each part that this policy uses. */
export function buildProbes(
  { settings: { cloud }, clock }: Context,
  { stores, keyRing }: Base,
  { identities, catalogue }: Sources,
  policy: Policy,
): Omit<Probes, 'policy'> {
  const grants = compileGrants(policy);
  const workspaces = fetchedWorkspaces(policy.workspaces);
  const reachable = grants.workspacesWithEndpoints.flatMap((name) => workspaces.get(name) ?? []);
  return {
    callerKeys: () => Promise.all(keySourcesOf(policy.issuers).map((source) => keyRing(source, ''))),
    auditStore: () =>
      tryEachStore(stores.recorder, {
        at: clock(),
        correlationId: stores.instanceId,
        decision: 'checked',
        policyHash: policy.hash,
      }),
    tokenStore: () => stores.tokenStore.prepare(),
    tokenCacheKey: () => stores.keys.current(),
    keyVault: () => stores.keys.current(),
    identities: () =>
      Promise.all([
        ...identityNames(policy, 'fetch').map((name) => identities.fetchToken(name, cloud.armScope)),
        ...identityNames(policy, 'issue').map((name) => identities.issueToken(name, cloud.amlScope)),
        identities.proveUserIdentities(),
      ]),
    machineLearning: () => Promise.all(reachable.map((from) => catalogue.relist(from))),
  };
}
