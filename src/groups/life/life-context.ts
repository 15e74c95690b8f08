import type { Env, Logger, Scope } from "../../env/index.ts";
import type { PeerId, UniqueId } from "../../identity/index.ts";
import type { IncarnationId, StorageFactory } from "../../storage/index.ts";
import type { Bonds, BondsOptions } from "../bonds/index.ts";
import type { Support } from "../entries/index.ts";
import type { MachineRuntime } from "../machine/index.ts";
import type { ReplicaEvents } from "../replica/index.ts";
import type { Compatibility } from "./compatibility.ts";
import type { DiskRoom } from "./disk-room.ts";
import type { Timing } from "./driver.ts";
import type { GroupProbe } from "./probe.ts";

/** What a life needs of the member that it belongs to. */
export interface LifeContext {
  readonly env: Env;
  readonly scope: Scope;
  readonly selfId: PeerId;
  readonly groupId: UniqueId;
  readonly networkId: UniqueId;
  readonly runtime: MachineRuntime;
  readonly timing: Timing;
  /** Voters at most, as this member's user wants; the leader's is in force. */
  readonly maxVoters: number;
  readonly snapshotEveryEntries: number;
  readonly logger: Logger;
  readonly probe: GroupProbe | undefined;
  readonly bonds: Bonds;
  /** Never votes, and is bonded with a few others only. */
  readonly isObserver: boolean;
  /** This member is about to give up its membership. */
  isLeaving(): boolean;
  readonly replicaEvents: ReplicaEvents;
  readonly compatibility: Compatibility;
  readonly room: DiskRoom;
  /** Leader, term, role or progress may have changed. */
  onChange(): void;
  onApplied(): void;
  /** The replica has another state, and nobody saw what led to it. */
  onRestored(): void;
  onStorageFailure(cause: unknown): void;
  /** The member must not go on: an invariant of ours does not hold, or its user asked for what cannot be. */
  onStop(cause: unknown): void;
}

/** What a member is made with. */
export type MemberOptions = Pick<
  LifeContext,
  | "env"
  | "selfId"
  | "groupId"
  | "networkId"
  | "runtime"
  | "timing"
  | "maxVoters"
  | "snapshotEveryEntries"
  | "isObserver"
  | "logger"
  | "probe"
> &
  Pick<BondsOptions, "endpoint" | "directory" | "secrets"> & {
    readonly name: string;
    readonly storage: StorageFactory;
    /** What this code, with this machine, can apply. */
    readonly support: Support;
    /** Undefined: never votes. */
    readonly expect: number | undefined;
    /** A store of this incarnation is set aside at the start. */
    readonly discard: IncarnationId | undefined;
    /** An export, from which the group is to be made. */
    readonly from: AsyncIterable<Uint8Array> | Iterable<Uint8Array> | undefined;
  };
