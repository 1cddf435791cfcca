/** A policy's text and what tells it from its other versions. */
export interface PolicyText {
  text: string;
  /** A blob's ETag, or a hash of the text. */
  version: string;
}

/** Where the policy is read: a file of the package, or a blob. */
export interface PolicySource {
  /**
   * The text, unless it is still the version that is known.
   *
   * @throws where it cannot be read
   */
  read(known: string | undefined): Promise<'unchanged' | PolicyText>;
}

/** What the setting POLICY names: a blob where it is a URL, else a file. */
export const isBlobUrl = (policy: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(policy);
