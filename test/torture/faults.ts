import { setTimeout as sleep } from "node:timers/promises";
import type { SeededRandom } from "../../src/env/index.ts";
import type { Cluster } from "./cluster.ts";
import { clearAside, damageLog, fillDisk, freeDisk, loseDisk, tearTail } from "./disks.ts";
import type { Cut } from "./net.ts";
import type { NodeProcess } from "./node-process.ts";
import { MEMBERS, STORAGE_EXIT } from "./protocol.ts";
import type { Tools } from "./tools.ts";
import { Tracer } from "./tracer.ts";

/** What faults strike at, and draw from. */
export interface Arena {
  readonly cluster: Cluster;
  readonly random: SeededRandom;
  /** Members whose data lies on a small file system of its own. */
  readonly small: readonly number[];
}

export interface Fault {
  readonly name: string;
  /** Undefined: it can be brought about everywhere. */
  readonly needs?: "canTrace" | "canMount";
  /** A store is gone for good: the one lost before must have been replaced by then, or a majority may be lost. */
  readonly isLossy?: true;
  /** Begins, lasts, and ends. @returns false if it had no effect, and so does not count */
  strike(arena: Arena): Promise<boolean>;
}

/** Members' own troubles: one at a time. */
export const PROCESS_FAULTS: readonly Fault[] = [
  { name: "kill", strike: (arena) => each(victims(arena, 2), (member) => down(member, arena)) },
  { name: "kill-all", strike: (arena) => each(arena.cluster.members, (member) => down(member, arena)) },
  {
    name: "pause",
    strike: (arena) =>
      each(victims(arena, 2), async (member) => {
        member.freeze();
        await sleep(arena.random.between(200, 5_000));
        member.thaw();
        return true;
      }),
  },
  {
    name: "restart",
    strike: async (arena) => {
      const [member] = victims(arena, 1) as [NodeProcess];
      await member.stop();
      await sleep(arena.random.between(0, 2_000));
      await member.start();
      return true;
    },
  },
  {
    name: "disk-lost",
    isLossy: true,
    strike: (arena) =>
      whileDown(arena, (folder) => {
        loseDisk(folder, arena.random.pick(["groups", "all"]));
        return true;
      }),
  },
  {
    name: "log-damaged",
    isLossy: true,
    strike: (arena) => whileDown(arena, (folder) => damageLog(folder, arena.random)),
  },
  { name: "torn-tail", strike: (arena) => whileDown(arena, (folder) => tearTail(folder, arena.random)) },
  { name: "disk-full", needs: "canMount", strike: diskFull },
  { name: "disk-error", needs: "canTrace", strike: diskError },
  { name: "disk-slow", needs: "canTrace", strike: diskSlow },
];

/** Troubles between members: beside those of their own. */
export const NET_FAULTS: readonly Fault[] = [
  { name: "partition", strike: (arena) => cutFor(arena, split(arena.random)) },
  { name: "one-way-cut", strike: (arena) => cutFor(arena, oneWay(arena.random)) },
  {
    name: "reset",
    strike: async ({ cluster, random }) => cluster.net.reset(random.below(MEMBERS)) > 0,
  },
];

/** Which can be brought about here; of the others, why not. */
export function available(tools: Tools): { faults: readonly Fault[]; leftOut: readonly string[] } {
  const all = [...PROCESS_FAULTS, ...NET_FAULTS];
  const isHad = ({ needs }: Fault): boolean => needs === undefined || tools[needs];
  const why = { canTrace: "strace", canMount: "tmpfs" } as const;
  const leftOut = all.flatMap(({ name, needs }) => {
    if (needs === undefined || tools[needs]) return [];
    return [`${name} (${tools.missing.find((text) => text.startsWith(why[needs])) ?? why[needs]})`];
  });
  return { faults: all.filter(isHad), leftOut };
}

function victims({ cluster, random }: Arena, countMax: number): readonly NodeProcess[] {
  const rest = [...cluster.members];
  const count = random.between(1, countMax);
  return Array.from({ length: count }, () => rest.splice(random.below(rest.length), 1)[0] as NodeProcess);
}

async function each(
  members: readonly NodeProcess[],
  strike: (member: NodeProcess) => Promise<boolean>,
): Promise<boolean> {
  return (await Promise.all(members.map(strike))).some((hadEffect) => hadEffect);
}

async function down(member: NodeProcess, { random }: Arena): Promise<boolean> {
  await member.kill();
  await sleep(random.between(0, 3_000));
  await member.start();
  return true;
}

async function whileDown(arena: Arena, change: (dataFolder: string) => boolean): Promise<boolean> {
  const [member] = victims(arena, 1) as [NodeProcess];
  await member.kill();
  clearAside(member.init.dataDir);
  const hadEffect = change(member.init.dataDir);
  await sleep(arena.random.between(0, 1_000));
  await member.start();
  return hadEffect;
}

/**
 * Full for a while. A store goes on in the room that its segment holds already, up to 16 MiB, so much is written until one says that there is none.
 * Counts if a member said so: it lives on, and goes on with room.
 */
async function diskFull(arena: Arena): Promise<boolean> {
  const { cluster, random, small } = arena;
  const numbers = random.chance(1, 3) ? small : [random.pick(small)];
  const full = numbers.map((number) => cluster.members[number] as NodeProcess);
  const folders = full.map(({ init }) => init.dataDir);
  const told = new Set<NodeProcess>();
  let isOver = false;
  const pad = async (member: NodeProcess): Promise<void> => {
    while (!isOver && told.size === 0) {
      await member.ask({ ask: "pad", count: 16, bytes: 64 * 1024 }).catch(() => undefined);
      await sleep(50);
    }
  };
  try {
    folders.forEach(fillDisk);
    const ending = watchFull(full, random.between(2_000, 4_000), told).finally(() => {
      isOver = true;
    });
    const padding = cluster.members.filter(({ isUp, isFrozen }) => isUp && !isFrozen).map(pad);
    await Promise.all([ending, ...padding]);
  } finally {
    folders.forEach(freeDisk);
  }
  return told.size > 0;
}

/** A full disk that nobody felt for so long is given up. */
const FULL_WITHIN_MS = 10_000;

/** Adds those that say that they have no room. Ends after `lastsMs` if one does, and later if none does. */
async function watchFull(members: readonly NodeProcess[], lastsMs: number, told: Set<NodeProcess>): Promise<void> {
  for (let ms = 0; ms < (told.size > 0 ? lastsMs : FULL_WITHIN_MS); ms += 100) {
    await sleep(100);
    for (const member of members) {
      void member.ask({ ask: "view" }).then(
        ({ isFull }) => isFull && told.add(member),
        () => {},
      );
    }
  }
}

/** Counts if the member stopped because of it. */
async function diskError(arena: Arena): Promise<boolean> {
  const [member] = victims(arena, 1) as [NodeProcess];
  const { pid } = member;
  if (pid === undefined) return false;
  const ended = member.expectExit(STORAGE_EXIT);
  const tracer = await Tracer.failSyncs(pid);
  const hasStopped = await Promise.race([ended.then(() => true), sleep(8_000).then(() => false)]);
  await tracer.detach();
  // One that did not write meanwhile does not know of it.
  await member.kill();
  await sleep(arena.random.between(0, 1_000));
  await member.start();
  return hasStopped;
}

function diskSlow(arena: Arena): Promise<boolean> {
  return each(victims(arena, 2), async ({ pid }) => {
    if (pid === undefined) return false;
    const tracer = await Tracer.delaySyncs(pid, arena.random.between(20, 500));
    await sleep(arena.random.between(1_000, 4_000));
    await tracer.detach();
    return true;
  });
}

async function cutFor({ cluster, random }: Arena, cuts: readonly Cut[]): Promise<boolean> {
  const { net } = cluster;
  net.cut(cuts);
  await sleep(random.between(500, 6_000));
  net.heal(cuts, random.pick(["flow", "reset"] as const));
  return true;
}

/** Two sides, of whatever sizes. */
function split(random: SeededRandom): Cut[] {
  const side = new Set<number>();
  const size = random.between(1, MEMBERS - 1);
  while (side.size < size) side.add(random.below(MEMBERS));
  return directions((from, to) => side.has(from) !== side.has(to));
}

/** One or two members are not heard by the others, or hear nothing, or one does not hear one other. */
function oneWay(random: SeededRandom): Cut[] {
  const one = random.below(MEMBERS);
  const other = (one + random.between(1, MEMBERS - 1)) % MEMBERS;
  switch (random.below(3)) {
    case 0:
      return directions((from) => from === one);
    case 1:
      return directions((_, to) => to === one);
    default:
      return [[one, other]];
  }
}

function directions(isCut: (from: number, to: number) => boolean): Cut[] {
  const numbers = Array.from({ length: MEMBERS }, (_, number) => number);
  const all = numbers.flatMap((from) => numbers.map((to): Cut => [from, to]));
  return all.filter(([from, to]) => from !== to && isCut(from, to));
}
