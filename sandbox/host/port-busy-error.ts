/** Another process listens on the port. */
export class PortBusyError extends Error {
  override name = 'PortBusyError';
  readonly port: number;
  constructor(port: number) {
    super(`Port ${port} is in use. Stop what listens there, or choose another port.`);
    this.port = port;
  }
}
