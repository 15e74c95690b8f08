// A group of three in a process of its own, with an honest client that executes commands all the time. Speaks over Node's channel between
// processes: tells where it listens, and answers each question with what happened since the one before.
import { defineMachine, Network } from "../../src/index.ts";
import { GROUP, MACHINE, MEMBERS, NETWORK, type Report, SECRET, type VictimMessage } from "./protocol.ts";

/** Often enough to notice a stall, and seldom enough that the log does not look like a leak. */
const COMMAND_INTERVAL_MS = 5;

const Counter = defineMachine(MACHINE, {
  state: () => ({ value: 0 }),
  commands: { add: (state, by: number) => (state.value += by) },
  queries: { value: (state) => state.value },
});

const tell = (message: VictimMessage): void => void process.send?.(message);

async function main(): Promise<void> {
  const networks: Network[] = [];
  for (let number = 0; number < MEMBERS; number++) {
    const bootstrap = networks[0]?.status().addresses ?? [];
    networks.push(await Network.create(NETWORK, { secret: SECRET, listen: "127.0.0.1:0", bootstrap, logger: false }));
  }
  const groups = networks.map((network) => network.groups.join(GROUP, { machine: Counter, expect: MEMBERS }));
  await Promise.all(groups.map((group) => group.when.online()));
  const leader = groups.find((group) => group.isLeader);
  const follower = groups.find((group) => !group.isLeader);
  const port = (group: typeof leader): number =>
    Number(networks[groups.indexOf(group as NonNullable<typeof group>)]?.status().addresses[0]?.split(":").at(-1));
  if (leader === undefined || follower === undefined) throw new Error("a group of three has a leader and followers");

  let begun = 0;
  let acknowledged = 0;
  let failures: string[] = [];
  let latenciesMs: number[] = [];
  const execute = async (): Promise<void> => {
    for (;;) {
      const startMs = performance.now();
      begun++;
      try {
        await follower.execute({ add: 1 });
        acknowledged++;
      } catch (error) {
        failures.push(String(error));
      }
      latenciesMs.push(performance.now() - startMs);
      await new Promise((resolve) => setTimeout(resolve, COMMAND_INTERVAL_MS));
    }
  };
  void execute();

  const report = async (): Promise<Report> => {
    const acknowledgedBefore = acknowledged;
    const { result } = await follower.query("value");
    const begunAfter = begun;
    await collect();
    const sorted = latenciesMs.sort((a, b) => a - b);
    const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? 0;
    const made: Report = {
      acknowledged: acknowledgedBefore,
      applied: result,
      begun: begunAfter,
      failures,
      terms: groups.map((group) => group.term),
      leaders: [...new Set(groups.map((group) => group.leader))].map(String),
      rssBytes: process.memoryUsage.rss(),
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      maxMs: sorted.at(-1) ?? 0,
      connections: networks.map((network) => network.inspect().links.length),
    };
    failures = [];
    latenciesMs = [];
    return made;
  };
  process.on("message", () => void report().then((made) => tell({ type: "report", report: made })));
  process.on("disconnect", () => process.exit(0));
  tell({ type: "ready", ports: { leader: port(leader), follower: port(follower) } });
}

/** Twice, since what finalizers let go is free only after the next one; with a turn between, since sockets end in turns. */
async function collect(): Promise<void> {
  for (let time = 0; time < 3; time++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

await main();
