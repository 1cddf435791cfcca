import type { AuthMode, MachineLearning } from '../freshness/ports.ts';
import type { Target } from '../grants/target.ts';
import type { Issue, IssueRequest } from './issue.ts';
import type { UseEndpoint } from './use-endpoint.ts';

export interface EndpointKeyAnswer {
  /** The one key to use now. */
  key: string;
  keyName: 'primary' | 'secondary';
  /** When the key stops being the one to use; null while nothing rotates it. */
  validUntil: Date | null;
  scoringUri: string;
}

export type EndpointKeyTarget = Extract<Target, { kind: 'endpointKey' }>;
export type IssueEndpointKey = (request: IssueRequest<EndpointKeyTarget>) => Promise<EndpointKeyAnswer>;

export interface EndpointKeyOptions {
  issue: Issue;
  useEndpoint: UseEndpoint;
  machineLearning: Pick<MachineLearning, 'listKeys'>;
}

const elsewhere = {
  aml_token: 'This endpoint authenticates with tokens: ask its /token route instead.',
  aad_token:
    'This endpoint authenticates with Entra tokens (aad_token mode): it has no keys, and its /token route is not yet served by the broker.',
} as const satisfies Record<Exclude<AuthMode, 'key'>, string>;

/** Issues one key of an endpoint in key mode. Keys are read from Azure ML each time and held nowhere. */
export function createIssueEndpointKey({ issue, useEndpoint, machineLearning }: EndpointKeyOptions): IssueEndpointKey {
  return (request) =>
    issue(request, ({ workspace, endpoint: name }) =>
      useEndpoint({
        workspace,
        endpoint: name,
        mode: 'key',
        elsewhere,
        async use(from, { scoringUri }) {
          const { primaryKey: key } = await machineLearning.listKeys(from.workspace, name);
          return {
            credential: key,
            expiresOn: undefined,
            identity: from.identity,
            answer: { key, keyName: 'primary', validUntil: null, scoringUri },
          };
        },
      }),
    );
}
