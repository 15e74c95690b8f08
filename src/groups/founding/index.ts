/**
 * How a store comes to belong to an incarnation: founded with those that `expect` asks for, named by a genesis, or following one that is
 * open. The decisions are pure (`founding.ts`), the `Founder` carries them out.
 */
export { exportState } from "./export.ts";
export { Founder } from "./founder.ts";
export { isSucceeded } from "./founding.ts";
export { openStore } from "./open-store.ts";
