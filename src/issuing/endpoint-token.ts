import type { EndpointTokens } from '../freshness/endpoint-tokens.ts';
import type { FetchedWorkspace } from '../freshness/fetched-workspaces.ts';
import type { AuthMode, Endpoint } from '../freshness/ports.ts';
import type { Grants } from '../grants/compile.ts';
import type { Target } from '../grants/target.ts';
import type { GetAppToken } from './app-tokens.ts';
import type { Issue, IssueRequest, Obtained } from './issue.ts';
import { openToEverybody, type UseEndpoint, wrongAuthMode } from './use-endpoint.ts';

export interface EndpointTokenAnswer {
  accessToken: string;
  tokenType: 'Bearer';
  expiresOn: Date;
  refreshBy: Date;
  scoringUri: string;
  authMode: 'aml_token' | 'aad_token';
  stale: boolean;
}

export type EndpointTokenTarget = Extract<Target, { kind: 'endpointToken' }>;
export type IssueEndpointToken = (request: IssueRequest<EndpointTokenTarget>) => Promise<EndpointTokenAnswer>;

export interface EndpointTokenOptions {
  issue: Issue;
  grants: Pick<Grants, 'decide'>;
  useEndpoint: UseEndpoint;
  tokens: Pick<EndpointTokens, 'current'>;
  /** Tokens of `use: issue` identities only. */
  appToken: GetAppToken;
  /** The exact scope of the Azure ML audience in this cloud: what endpoints in aad_token mode take. */
  amlScope: string;
}

type Got = Obtained<EndpointTokenAnswer>;

/** What to do instead, by the endpoint's mode. */
const elsewhere = {
  key: 'This endpoint authenticates with keys: ask its /key route instead.',
  none: openToEverybody,
} as const satisfies Partial<Record<AuthMode, string>>;

const noIdentity =
  'This endpoint takes Entra tokens (aad_token mode), and no grant of yours names the identity to get one with. Ask the owner of the policy to add identity: (one for use: issue that may score here) to the endpointToken entry.';

const noSuchModeOnKubernetes =
  'This endpoint runs on Kubernetes, where Azure ML does not serve aad_token mode. Ask its owner to set auth_mode to aml_token or key.';

/**
 * Issues a token for scoring at one endpoint. In aml_token mode it is the endpoint’s own, which opens that endpoint’s
 * scoring and nothing else. In aad_token mode (managed endpoints only) it is an Entra token for the Azure ML audience, of
 * the identity that the grant’s entry names: it opens all that this identity may.
 */
export function createIssueEndpointToken(options: EndpointTokenOptions): IssueEndpointToken {
  const { issue, grants, useEndpoint, tokens, appToken, amlScope } = options;

  const ownToken = async (from: FetchedWorkspace, endpoint: Endpoint, minRemaining: number | undefined) => {
    const { token, stale } = await tokens.current(from, endpoint, minRemaining);
    const { accessToken, expiresOn, refreshBy } = token;
    const { scoringUri } = endpoint;
    return {
      credential: accessToken,
      expiresOn,
      ...(stale ? {} : { refreshBy }),
      identity: from.identity,
      answer: { accessToken, tokenType: 'Bearer', expiresOn, refreshBy, scoringUri, authMode: 'aml_token', stale },
    } satisfies Got;
  };

  const entraToken = async ({ caller, target, minRemainingSeconds }: Request, { kind, scoringUri }: Endpoint) => {
    if (kind === 'kubernetes') throw wrongAuthMode('aad_token', noSuchModeOnKubernetes);
    // The grant that led here may be one for endpoints' own tokens; here the first that names an identity counts.
    const decision = grants.decide(caller, target, 'throughIdentity');
    const identity = decision.allowed ? decision.permit.identity : undefined;
    if (!decision.allowed || identity === undefined) throw wrongAuthMode('aad_token', noIdentity);
    const token = await appToken(identity, amlScope, minRemainingSeconds);
    const { accessToken, expiresOn, refreshBy, stale = false } = token;
    return {
      credential: accessToken,
      expiresOn,
      refreshBy,
      identity,
      permit: decision.permit,
      answer: {
        ...{ accessToken, tokenType: 'Bearer', expiresOn, refreshBy, scoringUri, authMode: 'aad_token' },
        stale,
      },
    } satisfies Got;
  };

  return (request) =>
    issue(request, ({ workspace, endpoint: name }) =>
      useEndpoint<Got>({
        workspace,
        endpoint: name,
        serves: ['aml_token', 'aad_token'],
        elsewhere,
        use: (from, endpoint) =>
          endpoint.authMode === 'aad_token'
            ? entraToken(request, endpoint)
            : ownToken(from, endpoint, request.minRemainingSeconds),
      }),
    );
}

type Request = IssueRequest<EndpointTokenTarget>;
