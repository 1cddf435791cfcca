import type { AuthMode, KeyName, MachineLearning } from '../freshness/ports.ts';
import type { Target } from '../grants/target.ts';
import type { FindKeyInUse } from '../rotation/key-in-use.ts';
import type { Issue, IssueRequest } from './issue.ts';
import { openToEverybody, type UseEndpoint } from './use-endpoint.ts';

export interface EndpointKeyAnswer {
  /** The one key to use now. */
  key: string;
  keyName: KeyName;
  /** Until when the key works at least; null while nothing rotates it. In the past: it is being replaced, ask again. */
  validUntil: Date | null;
  scoringUri: string;
}

export type EndpointKeyTarget = Extract<Target, { kind: 'endpointKey' }>;
export type IssueEndpointKey = (request: IssueRequest<EndpointKeyTarget>) => Promise<EndpointKeyAnswer>;

export interface EndpointKeyOptions {
  issue: Issue;
  useEndpoint: UseEndpoint;
  machineLearning: Pick<MachineLearning, 'listKeys'>;
  /** Absent: nothing is rotated. */
  findKeyInUse?: FindKeyInUse;
}

const elsewhere = {
  aml_token: 'This endpoint authenticates with tokens: ask its /token route instead.',
  aad_token: 'This endpoint authenticates with Entra tokens (aad_token mode): ask its /token route instead.',
  none: openToEverybody,
} as const satisfies Record<Exclude<AuthMode, 'key'>, string>;

/**
 * Issues one key of an endpoint in key mode: the one that a rotation has in use, else the primary one. Keys are read from
 * Azure ML each time and held nowhere.
 */
export function createIssueEndpointKey({
  issue,
  useEndpoint,
  machineLearning,
  findKeyInUse,
}: EndpointKeyOptions): IssueEndpointKey {
  return (request) =>
    issue(request, ({ workspace, endpoint: name }) =>
      useEndpoint({
        workspace,
        endpoint: name,
        serves: ['key'],
        elsewhere,
        async use(from, endpoint) {
          const { scoringUri } = endpoint;
          // Which key before its value: the one in use then keeps that value for at least as long as is promised.
          const { keyName = 'primary', validUntil = null } = (await findKeyInUse?.(endpoint)) ?? {};
          const keys = await machineLearning.listKeys(from.workspace, name);
          const key = keyName === 'primary' ? keys.primaryKey : keys.secondaryKey;
          return {
            credential: key,
            expiresOn: undefined,
            identity: from.identity,
            answer: { key, keyName, validUntil, scoringUri },
          };
        },
      }),
    );
}
