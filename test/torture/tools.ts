import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Tracer } from "./tracer.ts";

/** What this machine lets us do. */
export interface Tools {
  readonly canTrace: boolean;
  readonly canMount: boolean;
  /** What cannot be had, and why. */
  readonly missing: readonly string[];
}

export const isRoot = (): boolean => process.getuid?.() === 0;

/** Looks for what the faults need, and installs from Debian what is not there, where we are root. */
export async function findTools(): Promise<Tools> {
  const missing: string[] = [];
  if (!has("strace") && isRoot() && has("apt-get")) install("strace");
  const tracing = await whyNoTracing();
  if (tracing !== undefined) missing.push(`strace: ${tracing}`);
  const mounting = whyNoMounting();
  if (mounting !== undefined) missing.push(`tmpfs: ${mounting}`);
  return { canTrace: tracing === undefined, canMount: mounting === undefined, missing };
}

function has(command: string): boolean {
  return spawnSync(command, ["--version"], { stdio: "ignore" }).error === undefined;
}

/** What apt says goes to standard error: standard output may be read by programs. */
function install(name: string): void {
  const args = ["install", "-y", "-q", "--no-install-recommends", name];
  spawnSync("apt-get", args, { stdio: ["ignore", 2, 2], env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } });
}

async function whyNoTracing(): Promise<string | undefined> {
  if (!has("strace")) return "not installed";
  // To attach to a process may be forbidden, though the program is there.
  const victim = spawn("sleep", ["10"], { stdio: "ignore" });
  try {
    const tracer = await Tracer.attach(victim.pid ?? 0, ["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO"]);
    await tracer.detach();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    victim.kill("SIGKILL");
  }
}

function whyNoMounting(): string | undefined {
  if (!isRoot()) return "not root";
  const folder = mkdtempSync(join(tmpdir(), "mosaik-mount-"));
  try {
    mountTmpfs(folder, 1);
    unmount(folder);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A file system of its own, of so many MiB, at an empty folder. */
export function mountTmpfs(folder: string, mebibytes: number): void {
  run("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m,mode=0700`, "tmpfs", folder]);
}

/** Also if processes that are about to end have files open there. */
export function unmount(folder: string): void {
  run("umount", ["-l", folder]);
}

function run(command: string, args: readonly string[]): void {
  const { status, error, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(error?.message ?? stderr.trim());
}
