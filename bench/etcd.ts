/**
 * Three etcd processes and a client, as a peer: the Debian package `etcd-server`, and `etcd3` from npm. Neither is a dependency of ours: what is
 * not on the machine is unpacked into a folder of its own, for this checkout, and nothing is installed.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Hosts, Part } from "./hosts.ts";
import { debianProgram, ended, freePorts, npmPackage } from "./installed.ts";

const MEMBERS = 3;
/** Of the client. It has a dependency with an install script, which it does not need; so it is not among our own. */
const CLIENT_VERSION = "1.1.2";

export interface Etcd {
  /** With the server's version. */
  readonly name: string;
  readonly client: Part;
  stop(): Promise<void>;
}

/** @throws MissingPeer */
export async function startEtcd(hosts: Hosts): Promise<Etcd> {
  const server = debianProgram("etcd-server", ["bin", "etcd"], /etcd Version: (\S+)/);
  const folder = npmPackage("etcd3", CLIENT_VERSION);
  const dataFolder = mkdtempSync(join(tmpdir(), "mosaik-bench-etcd-"));
  const ports = await freePorts(MEMBERS * 2);
  const urls = Array.from({ length: MEMBERS }, (_, number) => ({
    client: `http://127.0.0.1:${ports[2 * number]}`,
    peer: `http://127.0.0.1:${ports[2 * number + 1]}`,
  }));
  const cluster = urls.map(({ peer }, number) => `m${number}=${peer}`).join(",");
  const members = urls.map(({ client, peer }, number) =>
    spawn(
      server.path,
      argumentsOf({ name: `m${number}`, client, peer, cluster, folder: join(dataFolder, `m${number}`) }),
      {
        stdio: "ignore",
      },
    ),
  );
  const stop = async (): Promise<void> => {
    await Promise.all(members.map(ended));
    rmSync(dataFolder, { recursive: true, force: true });
  };
  try {
    const client = await hosts.start().make("etcd", "EtcdClient", { folder, hosts: urls.map(({ client }) => client) });
    await client.call("ready");
    return { name: `etcd ${server.version} + etcd3 ${CLIENT_VERSION}`, client, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Member {
  readonly name: string;
  readonly client: string;
  readonly peer: string;
  readonly cluster: string;
  readonly folder: string;
}

/** Its defaults, and so an fsync for each batch of writes. */
function argumentsOf({ name, client, peer, cluster, folder }: Member): string[] {
  return [
    ["--name", name],
    ["--data-dir", folder],
    ["--listen-client-urls", client],
    ["--advertise-client-urls", client],
    ["--listen-peer-urls", peer],
    ["--initial-advertise-peer-urls", peer],
    ["--initial-cluster", cluster],
    ["--initial-cluster-state", "new"],
    ["--logger", "zap"],
  ].flat();
}
