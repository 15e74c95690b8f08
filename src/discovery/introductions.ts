import { LIMITS, type Logger, type Scope } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import type { PeerAddress } from "../transport/index.ts";
import type { Link } from "../wire/index.ts";
import { describe } from "./sources.ts";
import type { PeerEntry } from "./types.ts";

export interface IntroductionsInit {
  readonly scope: Scope;
  readonly logger: Logger;
  readonly entryOf: (id: PeerId) => PeerEntry | undefined;
  readonly isLinked: (id: PeerId) => boolean;
  readonly dial: (address: PeerAddress) => Promise<Link>;
  readonly adopt: (link: Link) => void;
}

/**
 * Links to peers that should know us and do not yet, since gossip is still on its way to them. Whoever needs one asks again when it is
 * turned away again, so a dial that fails, or one too many, is not repeated here.
 */
export class Introductions {
  readonly #init: IntroductionsInit;
  readonly #dialled = new Set<PeerId>();

  constructor(init: IntroductionsInit) {
    this.#init = init;
  }

  begin(id: PeerId): void {
    const { scope, logger, entryOf, isLinked, dial, adopt } = this.#init;
    const entry = entryOf(id);
    if (entry === undefined || isLinked(id) || scope.isClosed) return;
    if (this.#dialled.has(id) || this.#dialled.size >= LIMITS.introductionsMax) return;
    this.#dialled.add(id);
    scope.spawn(() =>
      dial({ id, addresses: entry.addresses }).then(
        (link) => {
          this.#dialled.delete(id);
          adopt(link);
        },
        (cause: unknown) => {
          this.#dialled.delete(id);
          logger.debug({ peer: id, problem: describe(cause) }, "a peer that should know us cannot be reached");
        },
      ),
    );
  }
}
