import type { PeerId } from "../../../identity/index.ts";
import { RunViolation } from "../../group-invariants.ts";

const WINDOW_US = 10_000_000;
/** Of one handle. The waits after six failures add up to the window; a link that lived for a second begins a new row. */
const DIALS_MAX = 30;

/**
 * How often honest consumers dial a peer that does not let them be. Each handle of a consumer has waits of its own, and begins anew; those whom
 * it tells that it has no place come back sooner, on purpose, and are not counted.
 */
export class DialWatch {
  readonly #dialsUs = new Map<PeerId, number[]>();
  readonly #opensUs = new Map<PeerId, number[]>();

  /** A handle was opened on this node. */
  onOpen(node: PeerId, nowUs: number): void {
    listOf(this.#opensUs, node).push(nowUs);
  }

  /** @param handles - that are open on that node, at least @throws RunViolation */
  onDial(from: PeerId, handles: number, nowUs: number): void {
    const recent = listOf(this.#dialsUs, from).filter((atUs) => nowUs - atUs < WINDOW_US);
    recent.push(nowUs);
    this.#dialsUs.set(from, recent);
    const opened = listOf(this.#opensUs, from).filter((atUs) => nowUs - atUs < WINDOW_US).length;
    const dialsMax = DIALS_MAX * (handles + opened);
    if (recent.length > dialsMax)
      throw new RunViolation("stream-dials", `${recent.length} dials of ${from} in ten seconds, by ${handles} handles`);
  }
}

function listOf<K>(lists: Map<K, number[]>, key: K): number[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}
