import type { Cluster } from "./cluster.ts";
import { countOf, Tracer } from "./tracer.ts";

const COMMITS = 50;

/** So many commands, one at a time, each applied everywhere before the next; and how often each member synced meanwhile. */
export async function countSyncs({ members }: Cluster): Promise<{ commits: number; members: readonly number[] }> {
  const tracers: Tracer[] = [];
  for (const { pid } of members) tracers.push(await Tracer.countSyncs(pid ?? 0));
  const [first] = members;
  // One more than counts: who was not needed for a commit may sync a moment after it.
  for (let commit = 0; commit <= COMMITS; commit++) {
    await first?.ask({ ask: "pad", count: 1, bytes: 100 });
    const { position } = (await first?.ask({ ask: "view" })) ?? { position: 0 };
    await Promise.all(members.map((member) => member.ask({ ask: "digest", position })));
  }
  const tables = await Promise.all(tracers.map((tracer) => tracer.detach()));
  return { commits: COMMITS, members: tables.map(countOf) };
}
