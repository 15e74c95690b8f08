import { DISTANCE_MAX, type MemberStatus } from "./bonds/index.ts";
import type { Life } from "./life/index.ts";

/** What a member says of the life of its store; undefined while that is free. */
export function statusOfLife(
  life: Life | undefined,
): Omit<MemberStatus, "storeId" | "isEligible" | "isLeaving" | "isReluctant" | "isFull" | "left"> {
  return {
    incarnation: life?.incarnation,
    role: life?.role ?? "free",
    isOpen: life?.isOpen ?? false,
    isServing: life?.isServing ?? false,
    term: life?.term ?? 0,
    leader: life?.leader,
    position: life?.replica.position ?? 0,
    index: life?.commit ?? 0,
    last: life?.driver.raft.last ?? { index: 0, term: 0 },
    origins: life?.replica.origins ?? [],
    distance: life?.distance ?? DISTANCE_MAX,
  };
}
