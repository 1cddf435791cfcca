import type { EndpointTokens } from '../freshness/endpoint-tokens.ts';
import type { AuthMode } from '../freshness/ports.ts';
import type { Target } from '../grants/target.ts';
import type { Issue, IssueRequest } from './issue.ts';
import type { UseEndpoint } from './use-endpoint.ts';

export interface EndpointTokenAnswer {
  accessToken: string;
  tokenType: 'Bearer';
  expiresOn: Date;
  refreshBy: Date;
  scoringUri: string;
  authMode: 'aml_token';
  stale: boolean;
}

export type EndpointTokenTarget = Extract<Target, { kind: 'endpointToken' }>;
export type IssueEndpointToken = (request: IssueRequest<EndpointTokenTarget>) => Promise<EndpointTokenAnswer>;

export interface EndpointTokenOptions {
  issue: Issue;
  useEndpoint: UseEndpoint;
  tokens: Pick<EndpointTokens, 'current'>;
}

/** What to do instead, by the endpoint's mode. */
const elsewhere = {
  key: 'This endpoint authenticates with keys: ask its /key route instead.',
  aad_token:
    'This endpoint takes Entra tokens (aad_token mode), not yet served by the broker. Sign in for the Azure ML audience yourself.',
} as const satisfies Record<Exclude<AuthMode, 'aml_token'>, string>;

/** Issues the endpoint’s own token: it opens that endpoint’s scoring and nothing else. */
export function createIssueEndpointToken({ issue, useEndpoint, tokens }: EndpointTokenOptions): IssueEndpointToken {
  return (request) =>
    issue(request, ({ workspace, endpoint: name }) =>
      useEndpoint({
        workspace,
        endpoint: name,
        mode: 'aml_token',
        elsewhere,
        async use(from, endpoint) {
          const { token, stale } = await tokens.current(from, endpoint);
          const { accessToken, expiresOn, refreshBy } = token;
          return {
            credential: accessToken,
            expiresOn,
            ...(stale ? {} : { refreshBy }),
            identity: from.identity,
            answer: {
              accessToken,
              tokenType: 'Bearer',
              expiresOn,
              refreshBy,
              scoringUri: endpoint.scoringUri,
              authMode: 'aml_token',
              stale,
            },
          };
        },
      }),
    );
}
