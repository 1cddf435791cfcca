/**
 * Every reason that a look at a rotation can name: what it means, and what it asks of a person where the broker cannot
 * go on alone. One closed set; docs/rotation.md shows it as a table.
 */

interface Words {
  means: string;
  /** Present where a person has to act: the state is named, and this is the way out. */
  asks?: string;
}

export const reasons = {
  settled: { means: 'What is in use works, and nothing is due.' },
  first: { means: 'There is no secret of this name yet: the first one is made.' },
  due: { means: 'The current secret is as old as rotateEvery: the next one is made.' },
  requested: { means: 'An operator asked for a rotation.' },
  compromised: { means: 'An operator said that the secret is compromised: the next one is made, without an overlap.' },
  edited: { means: 'The current version was not written by the broker: it is replaced by one that is known.' },
  gone: { means: 'The current password was removed in Entra: the next one is made at once.' },
  expired: { means: 'The current password or its version has expired: the next one is made at once.' },
  expiring: { means: 'The current password ends within the overlap: the next one is made at once.' },
  attempt_begun: { means: 'A rotation id is recorded; its password is added next.' },
  answer_awaited: { means: 'A password was asked for and its answer is not in hand: it may still be on its way.' },
  text_lost: { means: 'A password was added but its text was lost: another is made, this one is an orphan.' },
  pending_unproved: { means: 'The new password is stored beside the current one and signs in on trial.' },
  pending_proved: { means: 'The new password has signed in as often as asked: it becomes current.' },
  pending_unusable: { means: 'The pending password does not sign in any more: another is made.' },
  current_unproved: { means: 'The new secret is current, read back and proved again.' },
  overlap_over: { means: 'The previous password has had its overlap: it is removed.' },
  orphan: { means: 'A password of the broker that never became current: it is removed after the grace.' },
  write_budget: { means: 'Graph’s allowance of writes is used up for now; the most urgent rotations go first.' },
  unreadable: { means: 'Graph or Key Vault could not be read; nothing is concluded from that.' },
  step_failed: { means: 'The last step failed; it is tried again.' },
  too_many_versions: {
    means: 'Key Vault cannot back up a secret with more than 500 versions; rotation itself goes on.',
    asks: 'Give the rotation a new secret name in broker.yaml and point its readers there.',
  },
  not_owned: {
    means: 'Graph forbids the broker to read or change the application.',
    asks: 'Make the rotator an owner of the application: az ad app owner add --id <application> --owner-object-id <the rotator’s object id>; it also needs the Graph permission Application.ReadWrite.OwnedBy.',
  },
  application_not_found: {
    means: 'Graph knows no application of this object id.',
    asks: 'Check application in broker.yaml: az ad app show --id <clientId> --query id prints the object id.',
  },
  wrong_application: {
    means: 'The application of this object id has another client id than the rotation.',
    asks: 'Check application and clientId in broker.yaml: they must name the same application.',
  },
  vault_forbidden: {
    means: 'Key Vault forbids the broker to read the secret.',
    asks: 'Give the rotator the role Key Vault Secrets Officer on the vault.',
  },
  secret_disabled: {
    means: 'The secret’s current version is disabled.',
    asks: 'Enable it: az keyvault secret set-attributes --name <secret> --enabled true; or delete and purge it, and a new one is made.',
  },
  secret_deleted: {
    means: 'The secret is soft-deleted: its name cannot be written.',
    asks: 'Recover it: az keyvault secret recover --name <secret>; or purge it, and a new one is made.',
  },
  pending_disabled: {
    means: 'The secret that holds the next password is disabled.',
    asks: 'Enable it: az keyvault secret set-attributes --name <secret>-pending --enabled true.',
  },
  pending_deleted: {
    means: 'The secret that holds the next password is soft-deleted.',
    asks: 'Recover it: az keyvault secret recover --name <secret>-pending; or purge it.',
  },
  lifetime_refused: {
    means: 'The tenant’s policy allows no password that lives for rotateEvery and the overlap.',
    asks: 'Shorten rotateEvery in broker.yaml, or have the app management policy changed; then ask for a rotation.',
  },
  too_many_passwords: {
    means: 'The application has no room for another password.',
    asks: 'Remove passwords that nobody uses: az ad app credential list --id <application> shows them.',
  },
  key_turn_due: { means: 'The endpoint’s key in use is as old as rotateEvery: the other one is regenerated.' },
  key_regenerating: { means: 'Azure ML is regenerating the key that is not in use.' },
  key_promised: { means: 'The key that is not in use was promised to callers until later: it is regenerated then.' },
  regeneration_stuck: {
    means: 'Azure ML has not finished regenerating the key for a long time; the key in use is not touched.',
    asks: 'Look at the endpoint’s provisioning state in Azure ML studio; the broker tries again every hour.',
  },
  endpoint_not_found: {
    means: 'Azure ML knows no endpoint of this name.',
    asks: 'Check endpointKeys in broker.yaml, or remove the rotation.',
  },
  endpoint_forbidden: {
    means: 'Azure ML forbids the workspace’s fetch identity to list or regenerate the endpoint’s keys.',
    asks: 'Give it a role with onlineEndpoints/listkeys/action and onlineEndpoints/regenerateKeys/action.',
  },
  not_in_key_mode: {
    means: 'The endpoint does not authenticate with keys.',
    asks: 'Remove the rotation, or set the endpoint’s auth mode to key.',
  },
} as const satisfies Record<string, Words>;

export type Reason = keyof typeof reasons;

/** What a reason says, in words for a person. */
export function inWords(reason: Reason): Words {
  return reasons[reason];
}
