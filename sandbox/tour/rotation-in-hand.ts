import type { StoredSecret } from './consumer.ts';
import type { Watch } from './watch.ts';

/** The rotation of the secret that the tour watches, as the steps hand it on. */
export interface RotationInHand {
  operatorToken: string;
  overlapSeconds: number;
  /** The secret before the rotation. */
  previous: StoredSecret;
  /** Where the run is read. */
  location: string;
  /** Running beside the steps: who uses the secret must never notice. */
  watches: { broker: Watch; consumer: Watch };
  /** The secret after it; there once the run is over. */
  next?: StoredSecret;
}

/** An endpoint's key as the broker handed it out. */
export interface EndpointKey {
  key: string;
  keyName: string;
  validUntil: Date;
  scoringUri: string;
}

/** The turn of an endpoint's keys that the tour asked for. */
export interface KeyInHand {
  operatorToken: string;
  previous: EndpointKey;
  /** Where the run is read; undefined when an earlier tour had the turn already. */
  location: string | undefined;
}
