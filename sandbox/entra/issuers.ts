/** Issuer of v1 tokens in the public cloud; the sandbox names the same. */
export function v1Issuer(tenant: string): string {
  return `https://sts.windows.net/${tenant}/`;
}

/** Issuer of v2 tokens in the public cloud; the sandbox names the same. */
export function v2Issuer(tenant: string): string {
  return `https://login.microsoftonline.com/${tenant}/v2.0`;
}
