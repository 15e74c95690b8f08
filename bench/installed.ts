/** Programs that benches need and nothing else does. What is not on the machine is unpacked for this checkout; nothing is installed. */
import { type ChildProcess, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MissingPeer } from "./harness.ts";

const CACHE = fileURLToPath(new URL("../node_modules/.cache/mosaik-bench", import.meta.url));

export interface Program {
  readonly path: string;
  readonly version: string;
}

/** A program of a Debian package: on the path, or unpacked. @throws MissingPeer */
export function debianProgram(
  packageName: string,
  file: readonly [folder: "bin" | "sbin", name: string],
  version: RegExp,
): Program {
  const folder = join(CACHE, packageName);
  const unpacked = join(folder, "usr", ...file);
  const found = [file[1], unpacked].map((path) => programAt(path, version)).find((program) => program !== undefined);
  if (found !== undefined) return found;
  mkdirSync(folder, { recursive: true });
  if (isDone("apt-get", ["download", "-q", packageName], folder)) {
    const archive = readdirSync(folder).find((name) => name.endsWith(".deb"));
    if (archive !== undefined) isDone("dpkg-deb", ["-x", archive, "."], folder);
  }
  const program = programAt(unpacked, version);
  if (program === undefined) throw new MissingPeer(`${file[1]} is not here, and Debian's ${packageName} cannot be had`);
  return program;
}

function programAt(path: string, pattern: RegExp): Program | undefined {
  const { stdout, status } = spawnSync(path, ["--version"], { encoding: "utf8" });
  const version = status === 0 ? pattern.exec(stdout)?.[1] : undefined;
  return version === undefined ? undefined : { path, version };
}

/** The folder whose `node_modules` holds this npm package, without install scripts. @throws MissingPeer */
export function npmPackage(name: string, version: string): string {
  const folder = join(CACHE, `${name}-${version}`);
  if (existsSync(join(folder, "node_modules", name, "package.json"))) return folder;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  const args = ["install", `${name}@${version}`, "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"];
  if (!isDone("npm", args, folder)) throw new MissingPeer(`the npm package ${name} cannot be had`);
  return folder;
}

/** What it says goes to standard error: with --json, standard output holds rows alone. */
function isDone(command: string, args: readonly string[], cwd: string): boolean {
  return spawnSync(command, args, { cwd, stdio: ["ignore", 2, 2] }).status === 0;
}

export async function freePorts(count: number): Promise<readonly number[]> {
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

/** Kills it, and waits until it is gone. */
export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}
