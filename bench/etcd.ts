/**
 * Three etcd processes and a client, as a peer: the Debian package `etcd-server`, and `etcd3` from npm. Neither is a dependency of ours: what is
 * not on the machine is unpacked into a folder of its own, for this checkout, and nothing is installed.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MissingPeer } from "./harness.ts";
import type { Hosts, Part } from "./hosts.ts";

const MEMBERS = 3;
/** Of the client. It has a dependency with an install script, which it does not need; so it is not among our own. */
const CLIENT_VERSION = "1.1.2";
const CACHE = fileURLToPath(new URL("../node_modules/.cache/mosaik-bench", import.meta.url));

export interface Etcd {
  /** With the server's version. */
  readonly name: string;
  readonly client: Part;
  stop(): Promise<void>;
}

/** @throws MissingPeer */
export async function startEtcd(hosts: Hosts): Promise<Etcd> {
  const server = findServer();
  const folder = findClient();
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

async function ended(member: ChildProcess): Promise<void> {
  if (member.exitCode !== null || member.signalCode !== null || member.pid === undefined) return;
  const gone = new Promise((resolve) => member.once("exit", resolve));
  member.kill("SIGKILL");
  await gone;
}

function findServer(): { readonly path: string; readonly version: string } {
  for (const path of ["etcd", join(CACHE, "etcd-server", "usr", "bin", "etcd")]) {
    const version = versionOf(path);
    if (version !== undefined) return { path, version };
  }
  const folder = join(CACHE, "etcd-server");
  mkdirSync(folder, { recursive: true });
  if (isDone("apt-get", ["download", "-q", "etcd-server"], folder)) {
    const archive = readdirSync(folder).find((name) => name.endsWith(".deb"));
    if (archive !== undefined) isDone("dpkg-deb", ["-x", archive, "."], folder);
  }
  const path = join(folder, "usr", "bin", "etcd");
  const version = versionOf(path);
  if (version === undefined) throw new MissingPeer("etcd is not here, and Debian's etcd-server cannot be had");
  return { path, version };
}

function versionOf(path: string): string | undefined {
  const { stdout, status } = spawnSync(path, ["--version"], { encoding: "utf8" });
  return status === 0 ? /etcd Version: (\S+)/.exec(stdout)?.[1] : undefined;
}

/** The folder that holds `node_modules/etcd3`. */
function findClient(): string {
  const folder = join(CACHE, `etcd3-${CLIENT_VERSION}`);
  if (existsSync(join(folder, "node_modules", "etcd3", "package.json"))) return folder;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  const args = [
    "install",
    `etcd3@${CLIENT_VERSION}`,
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--no-package-lock",
  ];
  if (!isDone("npm", args, folder)) throw new MissingPeer("the npm package etcd3 cannot be had");
  return folder;
}

/** What it says goes to standard error: with --json, standard output holds rows alone. */
function isDone(command: string, args: readonly string[], cwd: string): boolean {
  return spawnSync(command, args, { cwd, stdio: ["ignore", 2, 2] }).status === 0;
}

async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
