import * as z from 'zod';

/** The sandbox's own settings; seconds unless the name says otherwise. */
export interface SandboxSettings {
  /** First of the eleven ports in a row; 0: free ports. */
  sandboxPort: number;
  brokerPort: number;
  /** Life of an endpoint's own token. */
  endpointTokenSeconds: number;
  /** When Azure ML asks for a refresh of an endpoint's token. */
  endpointRefreshAfterSeconds: number;
  /** Life of Entra's access tokens; below 300 the Azure SDKs cache nothing. */
  accessTokenSeconds: number;
  /** Until the last Entra replica, and Graph's reads, know a change. */
  propagationSeconds: number;
  proofSpreadSeconds: number;
  /** True: the policy is also in a blob, where its owner changes it by the control interface. */
  policyBlob: boolean;
  /** 6-field NCRONTAB. */
  refreshSchedule: string;
  rotateSchedule: string;
}

/** How many ports the sandbox takes from SANDBOX_PORT on. */
export const SANDBOX_PORT_COUNT = 11;

const DAY_SECONDS = 86_400;

function wholeNumber(defaultValue: number, min: number, max: number) {
  const sentence = `must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,9}$/, sentence)
    .default(String(defaultValue))
    .transform(Number)
    .pipe(z.number().min(min, sentence).max(max, sentence));
}

function schedule(defaultValue: string) {
  return z
    .string()
    .regex(/^\s*\S+(\s+\S+){5}\s*$/, 'must have six fields: second minute hour day month weekday')
    .default(defaultValue);
}

const environmentSchema = z
  .object({
    SANDBOX_PORT: wholeNumber(7080, 0, 65_536 - SANDBOX_PORT_COUNT),
    BROKER_PORT: wholeNumber(7071, 0, 65_535),
    SANDBOX_ENDPOINT_TOKEN_SECONDS: wholeNumber(60, 1, DAY_SECONDS),
    SANDBOX_ENDPOINT_REFRESH_AFTER_SECONDS: wholeNumber(30, 0, DAY_SECONDS),
    SANDBOX_ACCESS_TOKEN_SECONDS: wholeNumber(3600, 1, DAY_SECONDS),
    SANDBOX_PROPAGATION_SECONDS: wholeNumber(5, 0, 3600),
    PROOF_SPREAD_SECONDS: wholeNumber(6, 0, 3600),
    SANDBOX_POLICY_BLOB: z.enum(['on', 'off'], 'must be on or off').default('off'),
    REFRESH_SCHEDULE: schedule('*/5 * * * * *'),
    ROTATE_SCHEDULE: schedule('*/2 * * * * *'),
  })
  .refine((env) => env.SANDBOX_ENDPOINT_REFRESH_AFTER_SECONDS < env.SANDBOX_ENDPOINT_TOKEN_SECONDS, {
    path: ['SANDBOX_ENDPOINT_REFRESH_AFTER_SECONDS'],
    message: 'must be less than SANDBOX_ENDPOINT_TOKEN_SECONDS',
    when: ({ issues }) => issues.length === 0,
  })
  .refine((env) => !isSandboxPort(env.BROKER_PORT, env.SANDBOX_PORT), {
    path: ['BROKER_PORT'],
    message: `must not be one of the ${SANDBOX_PORT_COUNT} ports from SANDBOX_PORT on`,
    when: ({ issues }) => issues.length === 0,
  });

/**
 * Reads the sandbox's settings from an environment record; an absent or empty variable takes its default.
 *
 * @throws Error whose message lists every problem, one line each.
 */
export function readSandboxSettings(environment: Record<string, string | undefined>): SandboxSettings {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = environmentSchema.safeParse(given);
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => `  ${issue.path.join('.')} ${issue.message}.`);
    throw new Error(`Correct these settings of the sandbox:\n${lines.join('\n')}`);
  }
  const env = parsed.data;
  return {
    sandboxPort: env.SANDBOX_PORT,
    brokerPort: env.BROKER_PORT,
    endpointTokenSeconds: env.SANDBOX_ENDPOINT_TOKEN_SECONDS,
    endpointRefreshAfterSeconds: env.SANDBOX_ENDPOINT_REFRESH_AFTER_SECONDS,
    accessTokenSeconds: env.SANDBOX_ACCESS_TOKEN_SECONDS,
    propagationSeconds: env.SANDBOX_PROPAGATION_SECONDS,
    proofSpreadSeconds: env.PROOF_SPREAD_SECONDS,
    policyBlob: env.SANDBOX_POLICY_BLOB === 'on',
    refreshSchedule: env.REFRESH_SCHEDULE,
    rotateSchedule: env.ROTATE_SCHEDULE,
  };
}

function isSandboxPort(port: number, first: number): boolean {
  return first !== 0 && port >= first && port < first + SANDBOX_PORT_COUNT;
}
