import type { PeerId, UniqueId } from "../../../identity/index.ts";
import { RunViolation } from "../../group-invariants.ts";

const WINDOW_US = 10_000_000;
/**
 * Of one handle. Seven failures in a row take the window, at the shortest waits; who lets its consumer live for a second, and only then alternates
 * between reasons, comes to some three dials a second.
 */
const DIALS_MAX = 35;

/**
 * How often honest consumers dial a peer that does not let them be. Each handle of a consumer has waits of its own. Those whom the peer tells that it has
 * no place come back sooner, on purpose, and are not counted.
 */
export class DialWatch {
  readonly #dialsUs = new Map<string, number[]>();
  readonly #opensUs = new Map<string, number[]>();

  /** A consumer's handle was opened on this node; the one before is closed. */
  onOpen(node: PeerId, stream: UniqueId, nowUs: number): void {
    listOf(this.#opensUs, keyOf(node, stream)).push(nowUs);
  }

  /** @throws RunViolation */
  onDial(by: PeerId, from: PeerId, stream: UniqueId, nowUs: number): void {
    const dials = listOf(this.#dialsUs, `${by}/${keyOf(from, stream)}`);
    dials.push(nowUs);
    while ((dials[0] as number) <= nowUs - WINDOW_US) dials.shift();
    const opens = listOf(this.#opensUs, keyOf(from, stream));
    const recent = opens.filter((atUs) => atUs > nowUs - WINDOW_US).length;
    const handles = recent + (recent < opens.length ? 1 : 0);
    if (dials.length > DIALS_MAX * handles)
      throw new RunViolation("stream-dials", `${dials.length} dials of ${from} in ten seconds, by ${handles} handles`);
  }
}

function keyOf(node: PeerId, stream: UniqueId): string {
  return `${node}/${stream}`;
}

function listOf(lists: Map<string, number[]>, key: string): number[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}
