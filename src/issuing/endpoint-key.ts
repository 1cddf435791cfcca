import { BrokerError } from '../errors.ts';
import type { AuthMode, MachineLearning } from '../freshness/ports.ts';
import type { Target } from '../grants/target.ts';
import { askEndpoint, type FindEndpoint } from './find-endpoint.ts';
import type { Issue, IssueRequest } from './issue.ts';

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
  findEndpoint: FindEndpoint;
  machineLearning: Pick<MachineLearning, 'listKeys'>;
}

const elsewhere = {
  aml_token: 'This endpoint authenticates with tokens: ask its /token route instead.',
  aad_token: 'This endpoint authenticates with Entra tokens: it has no keys. Ask its /token route instead.',
} as const satisfies Record<Exclude<AuthMode, 'key'>, string>;

/** Issues one key of an endpoint in key mode. Keys are read from Azure ML each time and held nowhere. */
export function createIssueEndpointKey({ issue, findEndpoint, machineLearning }: EndpointKeyOptions): IssueEndpointKey {
  return (request) =>
    issue(request, async (target) => {
      const { from, endpoint } = await findEndpoint(target.workspace, target.endpoint);
      const { authMode } = endpoint;
      if (authMode !== 'key') {
        throw new BrokerError('wrong_auth_mode', { detail: elsewhere[authMode], members: { authMode } });
      }
      const { primaryKey } = await askEndpoint(() => machineLearning.listKeys(from.workspace, endpoint.name));
      return {
        credential: primaryKey,
        expiresOn: undefined,
        identity: from.identity,
        answer: { key: primaryKey, keyName: 'primary', validUntil: null, scoringUri: endpoint.scoringUri },
      };
    });
}
