/** The leader goes: how long until a survivor has a write acknowledged, against a raw client that turns to a second server. */
import { makeCluster, nowUs, rolesOf } from "./cluster.ts";
import { type Case, measure, type Plan, type Row } from "./harness.ts";
import type { Host, Hosts, Part } from "./hosts.ts";
import { RAW_TLS } from "./peers.ts";

const MEMBERS = 3;
/** What the raw client waits for a server that says nothing: our shortest election timeout. */
const SILENCE_MS = 1_000;
const STEADY_MS = 300;

interface Fault {
  readonly name: string;
  readonly metric: string;
  readonly targetMs: number;
  /** Brings it about. When it began. */
  readonly strike: (victim: Part) => Promise<number>;
}

const FAULTS: readonly Fault[] = [
  { name: "close", metric: "leader closes", targetMs: 100, strike: (victim) => victim.call<number>("close") },
  { name: "kill", metric: "leader is killed", targetMs: 1_200, strike: signal("SIGKILL") },
  { name: "freeze", metric: "leader freezes", targetMs: 2_500, strike: signal("SIGSTOP") },
];

/** Processes alone: a signal hits a whole one. */
export async function* failover(plan: Plan, hosts: Hosts): AsyncGenerator<Row> {
  for (const { name, metric, targetMs, strike } of FAULTS) {
    if (plan.only !== undefined && plan.only !== name) continue;
    const what: Case = {
      bench: "failover",
      case: name,
      metric: `${metric}, to the next acknowledged write`,
      unit: "ms",
      better: "lower",
      peerName: `${RAW_TLS} with a second server`,
      layout: "processes",
      target: { ours: targetMs },
      ours: () => ours(hosts, strike),
      peer: () => peer(hosts, strike),
    };
    yield await measure(what, plan.repeats);
  }
}

async function ours(hosts: Hosts, strike: Fault["strike"]): Promise<number> {
  const places = hosts.places(MEMBERS, "processes");
  const { leader, followers } = await rolesOf(await makeCluster(places));
  await Promise.all(followers.map((member) => member.call("startBeat")));
  await Promise.all(followers.map((member) => member.call("firstAfter", 0)));
  await new Promise((resolve) => setTimeout(resolve, STEADY_MS));
  const answers = await answersAfter(leader, followers, strike);
  await end(hosts, places, leader);
  return answers / 1_000;
}

async function answersAfter(leader: Part, survivors: readonly Part[], strike: Fault["strike"]): Promise<number> {
  const beganUs = await strike(leader);
  const acknowledgedUs = await Promise.race(survivors.map((member) => member.call<number>("firstAfter", beganUs)));
  return acknowledgedUs - beganUs;
}

async function peer(hosts: Hosts, strike: Fault["strike"]): Promise<number> {
  const places = hosts.places(MEMBERS, "processes");
  const [first, second, near] = places as [Host, Host, Host];
  const servers = await Promise.all([first, second].map((host) => host.make("raw", "RawServer")));
  const ports = await Promise.all(servers.map((server) => server.call<number>("port")));
  const client = await near.make("raw", "RawClient");
  await client.call("watch", ports, { silenceMs: SILENCE_MS });
  await new Promise((resolve) => setTimeout(resolve, STEADY_MS));
  const beganUs = await strike(servers[0] as Part);
  const answeredUs = await client.call<number>("answered");
  await end(hosts, places, servers[0] as Part);
  return (answeredUs - beganUs) / 1_000;
}

function signal(name: "SIGKILL" | "SIGSTOP"): Fault["strike"] {
  return async (victim) => {
    const beganUs = nowUs();
    victim.host.process.kill(name);
    return beganUs;
  };
}

async function end(hosts: Hosts, places: readonly Host[], victim: Part): Promise<void> {
  // A frozen process hears no other signal.
  victim.host.process.kill("SIGKILL");
  await hosts.stop(places);
}
