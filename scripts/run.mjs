// Runs Node with TypeScript support, from any folder, and ends as the child ends.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { ensureDependencies, ROOT } from "./ensure-dependencies.mjs";

/** @param args - what follows `node --import tsx`: options, a file, its arguments */
export function runNode(args, { env = {}, cwd = process.cwd() } = {}) {
  ensureDependencies();
  // Only now: in a fresh checkout it was not there before.
  const preloads = [import.meta.resolve("tsx"), import.meta.resolve("./broken-pipe.mjs")];
  const child = spawn(process.execPath, [...preloads.flatMap((file) => ["--import", file]), ...args], {
    cwd,
    stdio: "inherit",
    env: { ...process.env, TSX_TSCONFIG_PATH: join(ROOT, "tsconfig.json"), ...env },
  });
  // A terminal tells the child itself; we stay until it has ended. A supervisor tells only us.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("error", (error) => {
    console.error(error.message);
    process.exit(3);
  });
  child.on("exit", (code, signal) => process.exit(signal === null ? (code ?? 3) : 3));
}

export function runTypeScript(file, args) {
  runNode([join(ROOT, file), ...args]);
}
