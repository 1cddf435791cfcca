/** What a caller may obtain. Endpoint names are lower case here: Resource Manager does not tell cases apart. */
export type Target =
  /** With `identity` (its name in the policy), only through that one. */
  | { kind: 'workspaceToken'; workspace: string; audience: 'aml' | 'arm'; identity?: string }
  | { kind: 'endpointToken'; workspace: string; endpoint: string }
  | { kind: 'endpointKey'; workspace: string; endpoint: string };

/** A target as one text, for audit rows and log lines. */
export function nameTarget(target: Target): string {
  return target.kind === 'workspaceToken'
    ? `${target.workspace} ${target.audience} token`
    : `${target.workspace}/${target.endpoint} ${target.kind === 'endpointToken' ? 'token' : 'key'}`;
}
