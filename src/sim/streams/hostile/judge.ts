import type { PeerId } from "../../../identity/index.ts";
import type { Message } from "../../../streams/index.ts";
import { RunViolation } from "../../group-invariants.ts";
import type { ConsumerRecord } from "../judge.ts";
import { isParcel, type Parcel } from "../plan.ts";

interface Last {
  readonly line: number;
  readonly sequence: number;
}

/** What a consumer's program may rely on, whatever its producer does. */
export class HostileJudge {
  readonly #last = new WeakMap<ConsumerRecord, Map<PeerId, Last>>();
  #received = 0;

  /** Values of hostile producers that programs got. */
  get received(): number {
    return this.#received;
  }

  /** @throws RunViolation */
  onMessage(consumer: ConsumerRecord, { value, from, sequence, missed }: Message<Parcel>): void {
    const what = `sequence ${sequence}, missed ${missed} of a hostile producer`;
    if (!isParcel(value)) throw new RunViolation("stream-invented", `${what}: the schema refuses it`);
    const { life: line, place } = value;
    if (!isCount(sequence) || sequence === 0) throw new RunViolation("stream-order", `${what} is no sequence`);
    if (!isCount(missed) || missed >= sequence) throw new RunViolation("stream-gap", `${what} is no count`);
    const lasts = this.#last.get(consumer) ?? new Map<PeerId, Last>();
    this.#last.set(consumer, lasts);
    const last = lasts.get(from);
    lasts.set(from, { line, sequence });
    this.#received++;
    if (last === undefined || line > last.line) return;
    if (line < last.line) throw new RunViolation("stream-order", `${what} came by an earlier link (value ${place})`);
    const whence = `${what}, after ${last.sequence} by the same link (value ${place})`;
    if (sequence === last.sequence) throw new RunViolation("stream-once", whence);
    if (sequence < last.sequence) throw new RunViolation("stream-order", whence);
    // What the schema refused lies between, and was not lost.
    if (missed > sequence - last.sequence - 1) throw new RunViolation("stream-gap", whence);
  }
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
