/** A new reader gets all that a group has: by log, against as many messages over one raw connection. */
import { makeCluster, rolesOf } from "./cluster.ts";
import { type Case, measure, type Plan, type Row, WrongResult } from "./harness.ts";
import type { Hosts } from "./hosts.ts";
import { RAW_TLS, rawPair } from "./peers.ts";

const MEMBERS = 3;
const COMMANDS = 481_000;
/** Of one command in the log, about. */
const COMMAND_BYTES = 16;
const BATCH = 1_000;

export async function* catchUp(plan: Plan, hosts: Hosts): AsyncGenerator<Row> {
  const name = "log-481k";
  if (!plan.layouts.includes("processes") || (plan.only !== undefined && plan.only !== name)) return;
  const count = plan.isQuick ? COMMANDS / 100 : COMMANDS;
  const cluster = await makeCluster(hosts.places(MEMBERS, "processes"), () => ({
    module: "store",
    part: "StoreMember",
    options: { isSnapshotted: false },
  }));
  const { leader } = await rolesOf(cluster);
  await leader.call("fill", count, BATCH);
  const position = await leader.call<number>("position");
  const reader = await hosts.start().make("store", "StoreMember", { secret: cluster.secret, isSnapshotted: false });
  const raw = await rawPair(hosts, "processes");
  const what: Case = {
    bench: "catch-up",
    case: name,
    metric: `${count.toLocaleString("en-US")} small commands to a new reader, by log`,
    unit: "ms",
    better: "lower",
    peerName: `${RAW_TLS}, as many messages of ${COMMAND_BYTES} B`,
    layout: "processes",
    target: { ours: 1_000 },
    ours: async () => {
      const { ms, puts } = await reader.call<{ ms: number; puts: number }>("catchUp", cluster.address, position);
      if (puts !== count) throw new WrongResult(`of ${count} commands the reader has ${puts}`);
      return ms;
    },
    peer: async () => {
      const shape = { bytes: COMMAND_BYTES, count, perTurn: 512 };
      return (count / (await raw.client.call<number>("stream", raw.port, shape))) * 1_000;
    },
  };
  await what.ours(); // to warm up
  await what.peer();
  yield await measure(what, plan.repeats);
}
