/** A failure told to the person at the terminal: its message says what happened and what to do, and holds no secret. */
export class CliError extends Error {
  /** 1: it could not be done as things are; 2: the command, the settings or the policy are wrong. */
  readonly exitCode: 1 | 2;

  constructor(exitCode: 1 | 2, message: string) {
    super(message);
    this.name = 'CliError';
    this.exitCode = exitCode;
  }
}
