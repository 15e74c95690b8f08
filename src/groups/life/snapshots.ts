import type { PeerId } from "../../identity/index.ts";
import type { Index } from "../../raft/index.ts";
import type { IncarnationId, Storage } from "../../storage/index.ts";
import type { Bond, SnapshotFrame } from "../bonds/index.ts";
import { type Replica, Snapshotter } from "../replica/index.ts";
import { SnapshotFetcher, SnapshotServer } from "../snapshots/index.ts";
import type { RaftDriver } from "./driver.ts";
import type { LifeContext } from "./life-context.ts";

/** A member's snapshots: those it takes, those it gives to others, and the one that it may need itself. */
export class Snapshots {
  readonly snapshotter: Snapshotter;
  readonly #server: SnapshotServer;
  readonly #fetcher: SnapshotFetcher;
  /** Its store may be set aside: what fails in it is of no interest. */
  #isStopped = false;

  constructor(options: {
    context: LifeContext;
    storage: Storage;
    incarnation: IncarnationId;
    replica: Replica;
    driver: RaftDriver;
    leader: () => PeerId | undefined;
  }) {
    const { context, driver, leader } = options;
    const onFailure = (cause: unknown): void => {
      if (!this.#isStopped) context.onStorageFailure(cause);
    };
    const common = { ...options, env: context.env, scope: context.scope, onFailure };
    this.#server = new SnapshotServer(common);
    this.snapshotter = new Snapshotter({
      ...common,
      raft: driver.raft,
      logger: context.logger,
      everyEntries: context.snapshotEveryEntries,
      written: () => driver.written(),
      pinned: () => this.#server.pinned,
      onSaved: (snapshot, upTo) => driver.compact(snapshot, upTo),
    });
    this.#fetcher = new SnapshotFetcher({
      ...common,
      runtime: context.runtime,
      bonds: () => context.bonds.all,
      leader,
      commit: () => driver.raft.commit,
      onFetched: (fetched) => driver.install(fetched),
    });
  }

  /** For people. */
  get counts(): { readonly fetched: number; readonly replaced: number; readonly refused: number } {
    return this.#fetcher.counts;
  }

  /** One of this place or a later one is needed. */
  want(index: Index): void {
    this.#fetcher.want(index);
  }

  onFrame(bond: Bond, frame: SnapshotFrame): void {
    switch (frame.type) {
      case "snapshot-ask":
        return this.#server.onAsk(bond, frame);
      case "snapshot-fetch":
        return this.#server.onFetch(bond, frame);
      case "snapshot-offer":
        return this.#fetcher.onOffer(bond, frame);
      case "snapshot-chunk":
        return this.#fetcher.onChunk(bond, frame);
    }
  }

  onBondDown(bond: Bond): void {
    this.#fetcher.onBondDown(bond);
  }

  tick(): void {
    this.#server.tick();
  }

  stop(): void {
    this.#isStopped = true;
    this.#fetcher.stop();
    this.#server.stop();
    this.snapshotter.cancel();
  }
}
