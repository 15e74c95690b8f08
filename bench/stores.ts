/** What the benches of durable groups share: three processes with data directories, and the peers beside them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, closeCluster, makeCluster, rolesOf } from "./cluster.ts";
import { type Etcd, startEtcd } from "./etcd.ts";
import { MissingPeer, type Plan, WrongResult } from "./harness.ts";
import type { Hosts, Part } from "./hosts.ts";
import { ETCD, RAW_TLS, type RawPair, rawPair } from "./peers.ts";

const MEMBERS = 3;

/** A group of three, each a process, with its data on the disk of the system's temporary folder. */
export interface DurableGroup {
  readonly leader: Part;
  readonly follower: Part;
  /** Checks that each acknowledged write counts once everywhere, and ends it. */
  close(): Promise<void>;
}

export async function durableGroup(hosts: Hosts): Promise<DurableGroup> {
  const folder = mkdtempSync(join(tmpdir(), "mosaik-bench-"));
  const cluster = await makeCluster(hosts.places(MEMBERS, "processes"), (number) => ({
    module: "store",
    part: "StoreMember",
    options: { dataDir: join(folder, `member-${number}`) },
  }));
  const { leader, followers } = await rolesOf(cluster);
  return {
    leader,
    follower: followers[0] as Part,
    close: async () => {
      try {
        await checkPuts(cluster);
        await closeCluster(cluster);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}

async function checkPuts({ members }: Cluster): Promise<void> {
  const acknowledged = await Promise.all(members.map((member) => member.call<number>("acknowledged")));
  const expected = acknowledged.reduce((sum, count) => sum + count, 0);
  for (const member of members) {
    const { puts } = await member.call<{ puts: number }>("holds");
    if (puts !== expected) throw new WrongResult(`${expected} writes were acknowledged, and a member counts ${puts}`);
  }
}

/** The peers that are wanted, and can be had. One that was asked for by name must be there. */
export interface Peers {
  readonly raw: RawPair | undefined;
  readonly etcd: Etcd | undefined;
}

export async function startPeers(plan: Plan, hosts: Hosts): Promise<Peers> {
  const wants = (name: string): boolean => plan.peer === undefined || plan.peer === name;
  const raw = wants(RAW_TLS) ? await rawPair(hosts, "processes") : undefined;
  if (!wants(ETCD)) return { raw, etcd: undefined };
  try {
    return { raw, etcd: await startEtcd(hosts) };
  } catch (error) {
    if (!(error instanceof MissingPeer) || plan.peer === ETCD) throw error;
    plan.leaveOut(`${ETCD}: ${error.message}`);
    return { raw, etcd: undefined };
  }
}
