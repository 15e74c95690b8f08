import type { PeerId, UniqueId } from "../identity/index.ts";

/** A set of ids in order: membership changes cost a search and a move, ranges a search. */
export class SortedIds {
  #ids: PeerId[] = [];

  all(): readonly PeerId[] {
    return this.#ids;
  }

  add(id: PeerId): void {
    const position = this.#after(id);
    if (this.#ids[position - 1] !== id) this.#ids.splice(position, 0, id);
  }

  delete(id: PeerId): void {
    const position = this.#after(id) - 1;
    if (this.#ids[position] === id) this.#ids.splice(position, 1);
  }

  /** `after` < id <= `upTo` */
  between(after: UniqueId, upTo: UniqueId): readonly PeerId[] {
    return this.#ids.slice(this.#after(after), this.#after(upTo));
  }

  /** How many ids are <= `id`. */
  #after(id: UniqueId): number {
    let low = 0;
    let high = this.#ids.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ids[middle] as PeerId) <= id) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
