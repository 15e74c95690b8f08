import { LIMITS } from "../env/index.ts";
import { addressBucket } from "./address.ts";

/** What an acceptor allows. `LIMITS` has the defaults and the reasons. */
export interface TransportLimits {
  readonly handshakeTimeoutMs: number;
  readonly handshakesInProgressMax: number;
  readonly handshakesPerAddressMax: number;
  readonly connectionsPerAddressMax: number;
  readonly connectionsMax: number;
}

export function transportLimits(overrides: Partial<TransportLimits> = {}): TransportLimits {
  return {
    handshakeTimeoutMs: overrides.handshakeTimeoutMs ?? LIMITS.handshakeTimeoutMs,
    handshakesInProgressMax: overrides.handshakesInProgressMax ?? LIMITS.handshakesInProgressMax,
    handshakesPerAddressMax: overrides.handshakesPerAddressMax ?? LIMITS.handshakesPerAddressMax,
    connectionsPerAddressMax: overrides.connectionsPerAddressMax ?? LIMITS.connectionsPerAddressMax,
    connectionsMax: overrides.connectionsMax ?? LIMITS.connectionsMax,
  };
}

interface Usage {
  handshakes: number;
  connections: number;
}

/** One incoming connection's share of the limits. Both methods are idempotent. */
export interface Slot {
  /** The handshake is over; the connection still counts. */
  establish(): void;
  /** Gives everything back. */
  release(): void;
}

/** Counts incoming connections, those in their handshake among them, by remote address and in all. Dials are our own choice, and not counted. */
export class Admission {
  readonly #limits: TransportLimits;
  readonly #all: Usage = { handshakes: 0, connections: 0 };
  readonly #byAddress = new Map<string, Usage>();

  constructor(limits: TransportLimits) {
    this.#limits = limits;
  }

  /** Undefined: a limit is reached, drop the connection. */
  enter(host: string): Slot | undefined {
    const bucket = addressBucket(host);
    const here = this.#byAddress.get(bucket) ?? { handshakes: 0, connections: 0 };
    if (
      this.#all.connections >= this.#limits.connectionsMax ||
      this.#all.handshakes >= this.#limits.handshakesInProgressMax ||
      here.connections >= this.#limits.connectionsPerAddressMax ||
      here.handshakes >= this.#limits.handshakesPerAddressMax
    ) {
      return undefined;
    }
    this.#byAddress.set(bucket, here);
    this.#add(here, 1, 1);
    return this.#slot(bucket, here);
  }

  #slot(bucket: string, here: Usage): Slot {
    let isHandshaking = true;
    let isReleased = false;
    const establish = (): void => {
      if (isHandshaking) this.#add(here, -1, 0);
      isHandshaking = false;
    };
    const release = (): void => {
      if (isReleased) return;
      isReleased = true;
      establish();
      this.#add(here, 0, -1);
      if (here.connections === 0) this.#byAddress.delete(bucket);
    };
    return { establish, release };
  }

  #add(here: Usage, handshakes: number, connections: number): void {
    for (const usage of [this.#all, here]) {
      usage.handshakes += handshakes;
      usage.connections += connections;
    }
  }
}
