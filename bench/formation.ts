/** From nothing to a group that takes commands, against as many raw connections as its members need. */
import { closeCluster, makeCluster, nowUs } from "./cluster.ts";
import { type Case, measure, type Plan, type Row } from "./harness.ts";
import type { Host, Hosts } from "./hosts.ts";
import { RAW_TLS } from "./peers.ts";

const SIZES = [
  { expect: 3, targetMs: 500 },
  { expect: 1, targetMs: 1_300 },
] as const;

export async function* formation(plan: Plan, hosts: Hosts): AsyncGenerator<Row> {
  for (const layout of plan.layouts) {
    for (const { expect, targetMs } of SIZES) {
      // One node is in one process in any layout.
      if (expect === 1 && layout === "processes" && plan.layouts.includes("one-process")) continue;
      const name = `expect-${expect}`;
      if (plan.only !== undefined && plan.only !== name) continue;
      const places = hosts.places(expect, layout);
      const what: Case = {
        bench: "formation",
        case: name,
        metric: "first node made, to all online",
        unit: "ms",
        better: "lower",
        peerName: `${RAW_TLS} mesh`,
        layout,
        target: { ours: targetMs },
        ours: () => form(places),
        peer: () => mesh(places),
      };
      if (!plan.isQuick) await what.ours(); // to warm up
      await what.peer();
      yield await measure(what, plan.repeats);
      await hosts.stop(places);
    }
  }
}

async function form(places: readonly Host[]): Promise<number> {
  const cluster = await makeCluster(places);
  await closeCluster(cluster);
  return cluster.formationUs / 1_000;
}

/** A server at each place, and a connection between each two of them; a lone one connects to itself. */
async function mesh(places: readonly Host[]): Promise<number> {
  const beganUs = nowUs();
  const servers = await Promise.all(places.map((host) => host.make("raw", "RawServer")));
  const clients = await Promise.all(places.map((host) => host.make("raw", "RawClient")));
  const ports = await Promise.all(servers.map((server) => server.call<number>("port")));
  await Promise.all(
    clients.map((client, number) => client.call("mesh", ports.length === 1 ? ports : ports.slice(number + 1))),
  );
  const tookUs = nowUs() - beganUs;
  await Promise.all(servers.map((server) => server.call("close")));
  return tookUs / 1_000;
}
