import type { PeerId } from "../../../identity/index.ts";
import { DialWatch } from "./dials.ts";
import { HostileJudge } from "./judge.ts";

/** What a run knows of its hostile peers. */
export class Hostility {
  readonly judge = new HostileJudge();
  readonly dials = new DialWatch();
  readonly #ids = new Set<PeerId>();
  #lines = 0;

  add(id: PeerId): void {
    this.#ids.add(id);
  }

  isHostile(id: PeerId): boolean {
    return this.#ids.has(id);
  }

  /** Of the next link of any of them, from 1. */
  nextLine(): number {
    return ++this.#lines;
  }

  get lines(): number {
    return this.#lines;
  }
}
