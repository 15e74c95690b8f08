import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SeededRandom } from "../../src/env/index.ts";
import { bundle } from "./bundle.ts";
import { Cluster } from "./cluster.ts";
import { Crowd } from "./crowd.ts";
import { available } from "./faults.ts";
import { HistoryFile } from "./history-file.ts";
import { MEMBERS } from "./protocol.ts";
import { SETTLE_MS, Storm } from "./storm.ts";
import { countSyncs } from "./syncs.ts";
import { findTools, mountTmpfs, type Tools, unmount } from "./tools.ts";
import { type Findings, judge, type Verdict } from "./verdict.ts";

/** Members whose data lies on a small file system of its own, where there can be one: they get full. */
const SMALL = { members: [0, 1], mebibytes: 192 } as const;

export interface TortureOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly historyPath: string | undefined;
  readonly tell: (news: { readonly type: string } & Readonly<Record<string, unknown>>) => void;
}

/** A folder of the run, with what is mounted in it. */
class Ground {
  readonly folder = mkdtempSync(join(tmpdir(), "mosaik-torture-"));
  readonly dataFolders: readonly string[];
  readonly small: readonly number[];

  constructor({ canMount }: Tools) {
    this.dataFolders = Array.from({ length: MEMBERS }, (_, number) => join(this.folder, `data-${number}`));
    this.small = canMount ? SMALL.members : [];
    for (const [number, folder] of this.dataFolders.entries()) {
      mkdirSync(folder, { mode: 0o700 });
      if (this.small.includes(number)) mountTmpfs(folder, SMALL.mebibytes);
    }
  }

  /** @param isKept - what lies on the mounts is gone all the same */
  clear(isKept: boolean): void {
    for (const number of this.small) unmount(this.dataFolders[number] as string);
    if (!isKept) rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Faults for so long, then peace; then all must be equal, and the history linearizable. */
export async function torture(options: TortureOptions): Promise<Verdict> {
  const tools = await findTools();
  const scripts = await bundle();
  const ground = new Ground(tools);
  let isGood = false;
  // Members end with us; what is mounted would stay.
  const onSignal = (): void => {
    ground.clear(true);
    process.exit(3);
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  try {
    const verdict = await onGround(options, tools, ground, scripts);
    isGood = verdict.exitCode === 0;
    if (!isGood) options.tell({ type: "kept", folder: ground.folder });
    return verdict;
  } finally {
    ground.clear(!isGood);
    rmSync(scripts, { recursive: true, force: true });
  }
}

async function onGround(
  { minutes, seed, historyPath, tell }: TortureOptions,
  tools: Tools,
  { folder, dataFolders, small }: Ground,
  scripts: string,
): Promise<Verdict> {
  const history = new HistoryFile(historyPath ?? join(folder, "history.jsonl"));
  const secret = `torture of seed ${seed}`;
  const cluster = await Cluster.start({ script: join(scripts, "member.mjs"), folder, dataFolders, secret });
  let crowd: Crowd | undefined;
  try {
    if (!(await cluster.settled(SETTLE_MS))) throw new Error("the cluster does not form");
    crowd = new Crowd(join(scripts, "client.mjs"), cluster.members, seed, history);
    const { faults, leftOut } = available(tools);
    const arena = { cluster, random: new SeededRandom(seed, "torture"), small };
    const storm = new Storm({
      arena,
      faults,
      durationMs: minutes * 60_000,
      onFault: (news) => tell({ type: "fault", ...news }),
    });
    await storm.run();
    tell({ type: "peace" });
    const peace = await makePeace(cluster, crowd, history, tools);
    if (peace.syncs !== undefined) tell({ type: "syncs", ...peace.syncs });
    const crashes = cluster.members.flatMap((member) => member.crashes);
    const stalls = [...storm.stalls, ...peace.stalls];
    return judge({
      minutes,
      operations: history.operations,
      faults: storm.counts,
      leftOut,
      crashes,
      stalls,
      replicasEqual: peace.replicasEqual,
      syncs: peace.syncs,
    });
  } finally {
    crowd?.end();
    await cluster.end();
    history.close();
  }
}

/** Everybody is up, the net is whole, and the clients are quiet. */
async function makePeace(
  cluster: Cluster,
  crowd: Crowd,
  history: HistoryFile,
  tools: Tools,
): Promise<Pick<Findings, "stalls" | "replicasEqual" | "syncs">> {
  const isWhole = await cluster.settled(SETTLE_MS);
  await crowd.stop();
  const keys = [...new Set(history.operations.map(({ key }) => key))].sort();
  await crowd.finalReads(keys);
  if (!isWhole)
    return {
      stalls: [`in peace the cluster was not whole within ${SETTLE_MS} ms`],
      replicasEqual: false,
      syncs: undefined,
    };
  const syncs = tools.canTrace ? await countSyncs(cluster) : undefined;
  return { stalls: [], replicasEqual: await areEqual(cluster), syncs };
}

async function areEqual({ members }: Cluster): Promise<boolean> {
  const views = await Promise.all(members.map((member) => member.ask({ ask: "view" })));
  const position = Math.max(...views.map((view) => view.position));
  const digests = await Promise.all(members.map((member) => member.ask({ ask: "digest", position }).catch(() => "")));
  return digests[0] !== "" && digests.every((digest) => digest === digests[0]);
}
