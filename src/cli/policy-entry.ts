import { isMap, parseDocument } from 'yaml';
import { durationText } from '../config/duration.ts';
import { parsePolicy } from '../config/policy.ts';
import { toRotations } from '../config/rotations.ts';
import type { Rotation } from '../rotation/facts.ts';
import { CliError } from './cli-error.ts';
import type { Config } from './setup.ts';

/** The entry of a rotation in broker.yaml, as the policy writes it. */
function entryOf({ tenantId, clientId, application, ...times }: Rotation) {
  return {
    tenantId,
    clientId,
    application,
    rotateEvery: durationText(times.rotateEverySeconds),
    lifetime: durationText(times.lifetimeSeconds),
    overlap: durationText(times.overlapSeconds),
  };
}

/**
 * The rotation as the policy has it, or as it would have it with one more entry. All rules of the policy hold for the
 * new entry too: possible times, names that nobody else uses, no secret of the broker's own application.
 *
 * @throws CliError where the policy would refuse it
 */
export function admitRotation(
  rotation: Rotation,
  { settings, policy, policyText }: Pick<Config, 'settings' | 'policy' | 'policyText'>,
): { rotation: Rotation; configured: boolean } {
  const same = toRotations(policy).secrets.find(({ name }) => name === rotation.name);
  if (same !== undefined) {
    if (same.clientId === rotation.clientId && same.application === rotation.application) {
      return { rotation: same, configured: true };
    }
    throw new CliError(1, `The policy has a rotation ${same.name} of another application. Choose another --name.`);
  }
  const document = parseDocument(policyText);
  if (!isMap(document.get('rotations'))) document.set('rotations', document.createNode({}));
  document.setIn(['rotations', rotation.name], entryOf(rotation));
  const admitted = parsePolicy(String(document), settings);
  if (admitted.ok) return { rotation, configured: false };
  const problems = admitted.problems.map((problem) => `  ${problem.replace(/^line \d+: /, '')}`);
  throw new CliError(1, `The policy would refuse this rotation:\n${problems.join('\n')}`);
}

/** What to add to broker.yaml: the rotation, and how an identity names its secret. */
export function policyLines(rotation: Rotation): string[] {
  const { name, tenantId, clientId } = rotation;
  return [
    'rotations:',
    `  ${name}:`,
    ...Object.entries(entryOf(rotation)).map(([key, value]) => `    ${key}: ${value}`),
    '',
    '# An identity that signs in with it (choose its name and use):',
    '# identities:',
    '#   my-identity:',
    '#     use: issue',
    `#     servicePrincipal: { tenantId: ${tenantId}, clientId: ${clientId}, secret: ${name} }`,
  ];
}
