import { LIMITS } from "../../env/index.ts";
import { ChunkWriter } from "./chunk.ts";
import type { ChunkBuffers } from "./chunk-buffers.ts";
import type { Outlet } from "./outlet.ts";

/** The values that fit one criteria, for all consumers that have it. */
export class Lane {
  /** Names this lane to consumers that come back. */
  readonly token: string;
  /** Decoded; undefined: all values fit. */
  readonly criteria: unknown;
  readonly isAll: boolean;
  readonly chunk: ChunkWriter;
  readonly outlets = new Set<Outlet>();
  /** What each of its outlets can still take, as of the last change. */
  room = Number.POSITIVE_INFINITY;
  roomBytes = Number.POSITIVE_INFINITY;
  /** When its last consumer went; meaningless while it has one. */
  emptySinceMs = 0;

  constructor(token: string, criteria: { readonly value: unknown } | undefined, buffers: ChunkBuffers) {
    this.token = token;
    this.chunk = new ChunkWriter((bytesMin) => buffers.allocate(bytesMin));
    this.criteria = criteria?.value;
    this.isAll = criteria === undefined;
  }

  /** Some consumer's queue would be above its bounds. */
  get isFull(): boolean {
    return this.chunk.count >= this.room || this.chunk.bytes >= this.roomBytes;
  }

  /** Hands what was gathered to its consumers. */
  flush(): void {
    // One that is put out for its lag may let another one in, which begins after this chunk.
    const outlets = [...this.outlets];
    const chunk = this.chunk.take(outlets.length);
    if (chunk === undefined) return;
    for (const outlet of outlets) outlet.push(chunk);
    this.measure();
  }

  /** The queues of its consumers changed. */
  measure(): void {
    this.room = Number.POSITIVE_INFINITY;
    this.roomBytes = Number.POSITIVE_INFINITY;
    for (const { room, roomBytes } of this.outlets) {
      this.room = Math.min(this.room, room);
      this.roomBytes = Math.min(this.roomBytes, roomBytes);
    }
  }
}

/** The lanes of one producer, by criteria. Those that lost their last consumer are kept for a while: it hears then how much it missed. */
export class Lanes {
  readonly #drawToken: () => string;
  readonly #buffers: ChunkBuffers;
  readonly #lanes = new Map<string, Lane>();
  #all: readonly Lane[] = [];

  /** @param drawToken - 32 random hex digits */
  constructor(drawToken: () => string, buffers: ChunkBuffers) {
    this.#drawToken = drawToken;
    this.#buffers = buffers;
  }

  /** In the order in which they came to be. */
  get all(): readonly Lane[] {
    return this.#all;
  }

  /** @param key - of the criteria: equal ones share a lane. Undefined: there are too many */
  enter(key: string, criteria: { readonly value: unknown } | undefined, outlet: Outlet): Lane | undefined {
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      if (this.#lanes.size >= LIMITS.streamLanesMax) return undefined;
      lane = new Lane(this.#drawToken(), criteria, this.#buffers);
      this.#lanes.set(key, lane);
      this.#all = [...this.#lanes.values()];
    }
    // Who comes in the middle of a turn gets nothing of what was sent before.
    lane.flush();
    lane.outlets.add(outlet);
    lane.measure();
    return lane;
  }

  /** What was gathered is handed out already. */
  leave(lane: Lane, outlet: Outlet, nowMs: number): void {
    if (!lane.outlets.delete(outlet)) return;
    lane.emptySinceMs = nowMs;
    lane.measure();
    this.sweep(nowMs);
  }

  /** Forgets lanes that nobody came back to. */
  sweep(nowMs: number): void {
    const empty = [...this.#lanes].filter(([, lane]) => lane.outlets.size === 0);
    empty.sort(([, a], [, b]) => a.emptySinceMs - b.emptySinceMs);
    const excess = empty.length - LIMITS.streamLanesKeptMax;
    const isOver = ([, lane]: [string, Lane], i: number): boolean =>
      i < excess || nowMs - lane.emptySinceMs >= LIMITS.streamLaneKeptMs;
    for (const [key] of empty.filter(isOver)) this.#lanes.delete(key);
    this.#all = [...this.#lanes.values()];
  }
}
