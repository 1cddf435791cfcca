import type { FaultBody } from '../http/service.ts';
import { type EntraErrorContext, entraErrorBody } from './entra-error.ts';

const MFA_CLAIMS = '{"access_token":{"polids":{"essential":true,"values":["00000000-0000-4000-8000-00000000ca01"]}}}';

/** What a fault can ask for beyond the refusals that Entra gives by itself: code → OAuth word and extras. */
const PLANNED: Record<number, { error: string; suberror?: string; claims?: string }> = {
  50013: { error: 'invalid_grant' },
  50076: { error: 'interaction_required', claims: MFA_CLAIMS },
  50079: { error: 'interaction_required', claims: MFA_CLAIMS },
  50158: { error: 'interaction_required' },
  53003: { error: 'invalid_grant', suberror: 'message_only', claims: MFA_CLAIMS.replace('polids', 'capolids') },
  65001: { error: 'invalid_grant', suberror: 'consent_required' },
  70021: { error: 'invalid_request' },
  90002: { error: 'invalid_tenant' },
  500011: { error: 'invalid_resource' },
  500133: { error: 'invalid_grant' },
  700016: { error: 'unauthorized_client' },
  700213: { error: 'invalid_client' },
  7000112: { error: 'unauthorized_client' },
  7000215: { error: 'invalid_client' },
  7000222: { error: 'invalid_client' },
};

const THROTTLED_CODE = 90055;
const TRANSIENT_CODE = 90033;

/** Error body of a planned fault: `code` is an AADSTS number (with or without the letters) or an OAuth error word. */
export function entraFaultBody(context: EntraErrorContext): FaultBody {
  return (status, code) => {
    const number = Number(
      code?.match(/^(?:AADSTS)?(\d+)$/i)?.[1] ?? (status === 429 ? THROTTLED_CODE : TRANSIENT_CODE),
    );
    const word = code !== undefined && /^[a-z_]+$/.test(code) ? code : 'temporarily_unavailable';
    const planned = PLANNED[number] ?? { error: word };
    return entraErrorBody({ code: number, status, text: 'A fault was planned for this call.', ...planned }, context);
  };
}
