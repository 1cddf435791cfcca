import { createHash } from 'node:crypto';
import type { JWTPayload } from 'jose';
import type { Random } from '../state/random.ts';
import { GITHUB_ACTIONS, KUBERNETES } from './issuers.ts';

/** What every workload's token is made from. */
export interface WorkloadBasis {
  issuer: string;
  subject: string;
  audience: string;
  now: Date;
  /** Negative: a token that ended that long ago. */
  lifetimeSeconds: number;
}

/** How long before its end an already expired token began. */
const EXPIRED_TOKEN_LIFE_SECONDS = 3600;

/** The organization whose jobs the sandbox's policy knows, with its id; any other has an id of its own. */
export const GITHUB_OWNER = { name: 'contoso', id: '1234' } as const;

/** Claims as this issuer writes them; those of an issuer that the sandbox does not play are the plain ones of RFC 7519. */
export function workloadClaims(basis: WorkloadBasis, random: Random): JWTPayload {
  const { issuer, subject, audience, lifetimeSeconds } = basis;
  const nowSeconds = Math.floor(basis.now.getTime() / 1000);
  const exp = nowSeconds + lifetimeSeconds;
  const iat = lifetimeSeconds > 0 ? nowSeconds : exp - EXPIRED_TOKEN_LIFE_SECONDS;
  const common = { iss: issuer, sub: subject, aud: audience, jti: random.id(), iat, nbf: iat, exp };
  if (issuer === GITHUB_ACTIONS.issuer) return { ...common, ...githubClaims(subject) };
  if (issuer === KUBERNETES.issuer) return { ...common, aud: [audience], ...kubernetesClaims(subject) };
  return common;
}

/** Ids that stay the same for the same name. */
const numberOf = (name: string): string =>
  String(createHash('sha256').update(name).digest().readUInt32BE() + 1_000_000_000);

/** GitHub docs, "OpenID Connect reference": a job's claims, told from its subject. */
function githubClaims(subject: string): JWTPayload {
  const [, owner = 'nobody', name = 'nothing', context = ''] = /^repo:([^/:]+)\/([^:]+):(.*)$/.exec(subject) ?? [];
  const ref = /^ref:(.+)$/.exec(context)?.[1] ?? 'refs/heads/main';
  const repository = `${owner}/${name}`;
  const workflow = `${repository}/.github/workflows/train.yml@${ref}`;
  return {
    repository,
    repository_id: numberOf(repository),
    repository_owner: owner,
    repository_owner_id: owner === GITHUB_OWNER.name ? GITHUB_OWNER.id : numberOf(owner),
    repository_visibility: 'private',
    ref,
    ref_type: ref.startsWith('refs/tags/') ? 'tag' : 'branch',
    ref_protected: 'true',
    event_name: 'push',
    actor: 'octocat',
    actor_id: '583231',
    workflow: 'train',
    workflow_ref: workflow,
    job_workflow_ref: workflow,
    run_id: '19001',
    run_number: '7',
    run_attempt: '1',
    runner_environment: 'github-hosted',
  };
}

/** Kubernetes docs, "Managing Service Accounts", bound tokens: told from the subject. */
function kubernetesClaims(subject: string): JWTPayload {
  const [, namespace, name] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(subject) ?? [];
  if (namespace === undefined || name === undefined) return {};
  return {
    'kubernetes.io': {
      namespace,
      pod: { name: `${name}-7d9f`, uid: 'b0d00000-0000-4000-8000-000000000001' },
      serviceaccount: { name, uid: 'b0d00000-0000-4000-8000-000000000002' },
    },
  };
}
