import type { SeededRandom } from "../../../env/index.ts";
import type { PeerId } from "../../../identity/index.ts";
import { encodeAccept, FRAME } from "../../../streams/index.ts";
import type { Connection } from "../../../transport/index.ts";
import { CLOSE, type Link } from "../../../wire/index.ts";
import { encodeParcel, valuesFrame } from "./words.ts";

/** Whoever broke the protocol is told so, unless something else ended the link just then. */
const PUT_OUT: readonly number[] = [
  CLOSE.protocolViolation,
  CLOSE.success,
  CLOSE.cancelled,
  CLOSE.gracefulShutdown,
  CLOSE.streamNotAllowed,
  CLOSE.streamTooSlow,
  CLOSE.streamNoCapacity,
  CLOSE.streamNotFound,
  CLOSE.keepAliveTimeout,
];

/** `fair`: all that was said makes sense. `doubtful`: the peer decides. `broken`: the peer must end the link. */
type Standing = "fair" | "doubtful" | "broken";

export interface LineOptions {
  /** Counts the lines of a run, from 1. */
  readonly number: number;
  readonly link: Link;
  readonly connection: Connection;
  /** What it does, for messages. */
  readonly conduct: string;
  readonly random: SeededRandom;
  readonly sleep: (ms: number) => Promise<void>;
  /** What the peer should not have done. */
  readonly onProblem: (problem: string) => void;
  readonly onFrame?: (kind: number) => void;
}

/** A link of a hostile peer, with the connection under it. */
export class HostileLine {
  readonly number: number;
  readonly peer: PeerId;
  readonly link: Link;
  readonly connection: Connection;
  readonly conduct: string;
  readonly random: SeededRandom;
  readonly sleep: (ms: number) => Promise<void>;
  #standing: Standing = "fair";
  #isOver = false;
  /** Parcels of this line, from 1. */
  sent = 0;
  #onDrain: () => void = () => {};

  /** In the turn that the link came. */
  constructor({ number, link, connection, conduct, random, sleep, onProblem, onFrame }: LineOptions) {
    this.number = number;
    this.peer = link.remoteId;
    this.link = link;
    this.connection = connection;
    this.conduct = conduct;
    this.random = random;
    this.sleep = sleep;
    link.start({
      onFrame: (kind) => onFrame?.(kind),
      onDrain: () => this.#onDrain(),
      onClose: ({ code, by, reason }) => {
        this.#isOver = true;
        this.#onDrain();
        if (by !== "peer") return;
        const what = `line ${number} (${conduct}, ${this.#standing}) was ended with ${code}: ${reason}`;
        if (this.#standing === "broken" && !PUT_OUT.includes(code)) onProblem(what);
        if (this.#standing === "fair" && code === CLOSE.protocolViolation) onProblem(what);
      },
    });
  }

  get isOpen(): boolean {
    return !this.#isOver;
  }
  /** It broke the protocol, and is still there. */
  get isTolerated(): boolean {
    return this.#standing === "broken" && !this.#isOver;
  }

  /** What was said, or is said next, is out of order. */
  breaks(): void {
    this.#standing = "broken";
  }

  /** What is said next may be out of order. */
  strains(): void {
    if (this.#standing === "fair") this.#standing = "doubtful";
  }

  accept(lane: string, next: number): void {
    this.link.send(FRAME.accept, encodeAccept({ lane, next }));
  }

  values(sequence: number, values: readonly Uint8Array[]): boolean {
    return this.link.send(FRAME.values, valuesFrame(sequence, values));
  }

  /** The next one: names this line, and its place on it. */
  parcel(padBytes = 0): Uint8Array {
    return encodeParcel({ life: this.number, place: ++this.sent, pad: "x".repeat(padBytes) });
  }

  parcels(count: number): Uint8Array[] {
    return Array.from({ length: count }, () => this.parcel());
  }

  /** The peer takes more, or is gone. */
  drained(): Promise<void> {
    if (this.#isOver) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onDrain = resolve;
    });
  }

  /** In one of the ways in which a link ends; or not at all. */
  async part(): Promise<void> {
    await this.sleep(this.random.pick([0, 5, 300, 1_500]));
    const { link, connection, random } = this;
    if (this.#isOver) return;
    const way = random.pick(["close", "destroy", "half-close", "garbage", "stay"]);
    if (way === "close") void link.close(random.pick(CODES), "no reason", random.pick([1, 500]));
    else if (way === "destroy") link.destroy();
    else if (way === "half-close") connection.end();
    else if (way === "garbage") {
      this.strains();
      connection.write(random.bytes(random.between(1, 3_000)));
    }
  }
}

/** Codes of a close, sensible or not. */
export const CODES: readonly number[] = [...Object.values(CLOSE), 0, 1, 999, 65_536, 0xffffff];
