import { type EndpointToken, fingerprint, type Tour } from './tour.ts';

/** Between two looks at the broker. */
const SAMPLE_MS = 500;
/** A refresh is due by `refreshBy`; the timer needs a little for it. */
const AFTER_DUE_MS = 10_000;
/** Longest wait that still leaves time for the rest of the tour. */
const LONGEST_WAIT_MS = 90_000;
/** A second, needless call to Azure would follow the first one closely. */
const SETTLE_SAMPLES = 4;

/**
 * Watches the endpoint's token until it changes: exactly one new token must have been asked of Azure for it, and no answer meanwhile may be
 * past its `refreshBy`.
 */
export async function watchRefresh(tour: Tour): Promise<string> {
  const { callerToken } = tour;
  if (callerToken === undefined) throw new Error('there is no caller token to ask with');
  const first = await takeBaseline(tour, callerToken);
  const waitMs = first.token.refreshBy.getTime() - Date.now() + AFTER_DUE_MS;
  if (waitMs > LONGEST_WAIT_MS) {
    throw new Error(
      `the next refresh is due only at ${first.token.refreshBy.toISOString()}: start with a lower SANDBOX_ENDPOINT_REFRESH_AFTER_SECONDS`,
    );
  }

  const deadline = Date.now() + waitMs;
  let samples = 0;
  let token = first.token;
  while (token.accessToken === first.token.accessToken) {
    if (Date.now() > deadline)
      throw new Error(`no new token within ${Math.round(waitMs / 1000)} s, after ${samples} looks`);
    token = await takeSample(tour, callerToken);
    samples++;
  }
  for (let look = 0; look < SETTLE_SAMPLES; look++) {
    const next = await takeSample(tour, callerToken);
    if (next.accessToken !== token.accessToken) throw new Error('the token changed twice within a few seconds');
    samples++;
  }

  const newCalls = (await tour.countTokenCalls()) - first.calls;
  if (newCalls !== 1) throw new Error(`Azure was asked for ${newCalls} tokens, and one was needed`);
  tour.endpointToken = token;
  return (
    `${samples} looks, none past its refreshBy; one call to Azure; ` +
    `sha256 ${fingerprint(first.token.accessToken)}… became ${fingerprint(token.accessToken)}…`
  );
}

/** A token and the number of calls to Azure that led to it: counted before and after, so that no refresh lies between. */
async function takeBaseline(tour: Tour, callerToken: string): Promise<{ token: EndpointToken; calls: number }> {
  for (;;) {
    const before = await tour.countTokenCalls();
    const first = await takeSample(tour, callerToken);
    const second = await takeSample(tour, callerToken);
    const calls = await tour.countTokenCalls();
    if (calls === before && first.accessToken === second.accessToken) return { token: second, calls };
  }
}

async function takeSample(tour: Tour, callerToken: string): Promise<EndpointToken> {
  await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
  const token = await tour.endpointTokenFor(callerToken);
  if (token.stale || token.refreshBy <= token.askedAt) {
    throw new Error(`the broker handed out a token past its refreshBy (${token.refreshBy.toISOString()})`);
  }
  return token;
}
