/** The app or its settings cannot be run. The message is for the person who starts it and says what to change. */
export class StartError extends Error {
  override name = 'StartError';
}
