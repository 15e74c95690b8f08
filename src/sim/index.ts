/**
 * The simulator: whole nodes in one process on virtual time, from one seed.
 *
 * A test calls `simulate` with a scenario: it starts nodes and groups, cuts, crashes and heals, and says what it expects. The nodes are the
 * very ones of production; only their world is another (`VirtualWorld`, `MemoryNetwork`, `SimDisk`), and in it one seed gives one history.
 * While it runs, Raft's invariants watch every event; at the end each result is compared with a replay of the log.
 *
 * `npm run sim` runs random histories besides: bare Raft members under lost and reordered messages (`core/`), and whole nodes under all
 * faults that byte streams, disks and clocks have (`node-run.ts`), judged by a linearizability checker. `docs/design/simulator.md` says more.
 */
export type { Faults } from "./background.ts";
export { type Scenario, type Sim, type SimMember, type SimNode, type SimulateOptions, simulate } from "./simulate.ts";
