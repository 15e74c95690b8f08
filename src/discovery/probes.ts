import { type Clock, LIMITS, type Scope, type Timer, whenAborted } from "../env/index.ts";
import type { Endpoint } from "../transport/index.ts";
import { ByteReader, ByteWriter, CLOSE, DecodeError, type Link } from "../wire/index.ts";

/**
 * A link of its own, so that what is measured is the way to the peer and not what else is sent there: a few pings, one after the other.
 * Unknown kinds of frames are ignored: a newer peer may know more.
 */
export const PROBE_PROTOCOL = "mosaik/probe/1";
export const PROBE_FRAME = { ping: 16, pong: 17 } as const;

/** The quickest of these counts: what makes one slower is the work of the two processes. */
const PINGS = 3;
/** An accepted link on which nothing is asked for this long is closed. */
const IDLE_MS = 5_000;
const NOTHING = new Uint8Array(0);

/** @param number - of the ping; its pong has the same */
export function encodePing(number: number): Uint8Array {
  return new ByteWriter(1).u8(number).finish();
}

/** @throws DecodeError */
export function decodePing(payload: Uint8Array): number {
  const reader = new ByteReader(payload);
  const number = reader.u8();
  reader.end();
  return number;
}

/** Why a link gave no measurement. */
export class ProbeEnded extends Error {
  override readonly name = "ProbeEnded";
}

/**
 * Measures a link that is up, in that turn, and closes it.
 *
 * @param signal - its abort cuts the link
 * @returns the shortest round trip, in ms with fractions
 * @throws ProbeEnded
 */
export function measureLink(link: Link, clock: Clock, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    let number = 0;
    let sentUs = 0;
    let bestUs = Number.POSITIVE_INFINITY;
    const ping = (): void => {
      number += 1;
      sentUs = clock.monotonicUs();
      link.send(PROBE_FRAME.ping, encodePing(number));
    };
    const endListening = whenAborted(signal, () => link.destroy());
    link.start({
      onFrame: (kind, payload) => {
        if (kind !== PROBE_FRAME.pong) return;
        if (decodePing(payload) !== number) throw new DecodeError("an answer to a ping that was not sent");
        bestUs = Math.min(bestUs, clock.monotonicUs() - sentUs);
        if (number < PINGS) return ping();
        resolve(bestUs / 1_000);
        void link.close(CLOSE.success, "measured");
      },
      onClose: ({ code, reason }) => {
        endListening();
        reject(new ProbeEnded(`closed before it was measured: ${code} ${reason}`));
      },
    });
    if (signal.aborted) link.destroy();
    else ping();
  });
}

/** Answers the probes of others: `LIMITS.probeLinksMax` at a time, `LIMITS.probePingsMax` pings on each. */
export class ProbeAnswers {
  readonly #scope: Scope;
  readonly #links = new Set<Link>();
  #pings = 0;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  get size(): number {
    return this.#links.size;
  }

  /** Answered so far. */
  get pings(): number {
    return this.#pings;
  }

  /** Before the endpoint listens. */
  offer(endpoint: Endpoint): void {
    endpoint.handle(PROBE_PROTOCOL, {
      frameBytesMax: 64,
      versionMin: 1,
      versionMax: 1,
      features: 0,
      accept: () => {
        if (this.#scope.isClosed) return { refuse: CLOSE.gracefulShutdown, reason: "this peer leaves the network" };
        if (this.#isFull) return { refuse: CLOSE.overloaded, reason: "too many probes" };
        return { payload: NOTHING };
      },
      onLink: (link) => this.#answer(link),
    });
  }

  get #isFull(): boolean {
    return this.#links.size >= LIMITS.probeLinksMax;
  }

  #answer(link: Link): void {
    // Several may have been accepted when there was room for one.
    const isWelcome = !this.#isFull && !this.#scope.isClosed;
    let pings = 0;
    let idle: Timer | undefined;
    const wait = (): void => {
      idle?.cancel();
      idle = this.#scope.after(IDLE_MS, () => void link.close(CLOSE.success, "nothing was asked"));
    };
    link.start({
      onFrame: (kind, payload) => {
        if (kind !== PROBE_FRAME.ping) return;
        const number = decodePing(payload);
        pings += 1;
        if (pings > LIMITS.probePingsMax) throw new DecodeError("more pings than a probe takes");
        this.#pings += 1;
        link.send(PROBE_FRAME.pong, encodePing(number));
        wait();
      },
      onClose: () => {
        idle?.cancel();
        this.#links.delete(link);
      },
    });
    if (isWelcome) {
      this.#links.add(link);
      wait();
    } else void link.close(CLOSE.overloaded, "too many probes");
  }
}
