import type { Index } from "./types.ts";

/**
 * Linearizable reads without the log (ReadIndex; Ongaro's thesis, section 6.4).
 *
 * A read waits until its leader knows that nobody else led when the read arrived: a majority must answer a heartbeat round that began
 * after it. Reads that arrive together share a round.
 */
export class Reads {
  #arrived: number[] = [];
  readonly #batches: { readonly round: number; readonly index: Index; readonly ids: readonly number[] }[] = [];

  /** Reads arrived that no round covers yet. */
  get hasArrived(): boolean {
    return this.#arrived.length > 0;
  }

  get waiting(): number {
    return this.#batches.reduce((sum, batch) => sum + batch.ids.length, this.#arrived.length);
  }

  arrive(id: number): void {
    this.#arrived.push(id);
  }

  /** `round` has not been sent to anyone yet; `index` is the leader's commit index now. */
  begin(round: number, index: Index): void {
    this.#batches.push({ round, index, ids: this.#arrived });
    this.#arrived = [];
  }

  /** A majority answered `round` or a later one. */
  confirm(round: number, confirmed: { readonly id: number; readonly index: Index }[]): void {
    while (this.#batches[0] !== undefined && this.#batches[0].round <= round) {
      const { ids, index } = this.#batches[0];
      for (const id of ids) confirmed.push({ id, index });
      this.#batches.shift();
    }
  }

  /** This member leads no longer: what waits can never be confirmed. */
  refuseAll(refused: number[]): void {
    for (const batch of this.#batches) refused.push(...batch.ids);
    refused.push(...this.#arrived);
    this.#batches.length = 0;
    this.#arrived = [];
  }
}
