// npm run bench -- NAME [--json] [--quick]: see bench/main.ts
// The built package is measured, not TypeScript made runnable on the way: dist/ is written first if it is missing or older than src/.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { ensureDependencies, ROOT } from "./ensure-dependencies.mjs";
import { runTypeScript } from "./run.mjs";

const args = process.argv.slice(2);
const isElsewhere = args.some((argument) => argument === "--dist" || argument.startsWith("--dist="));

ensureDependencies();
if (!isElsewhere && !isBuilt()) build();
runTypeScript("bench/main.ts", args);

function isBuilt() {
  const built = join(ROOT, "dist", "index.js");
  if (!existsSync(built)) return false;
  const builtMs = statSync(built).mtimeMs;
  return readdirSync(join(ROOT, "src"), { recursive: true, withFileTypes: true }).every(
    (entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs <= builtMs,
  );
}

function build() {
  // What it says goes to standard error: with --json, standard output holds rows alone.
  const { status } = spawnSync(process.execPath, [join(ROOT, "scripts", "build.mjs")], { stdio: ["ignore", 2, 2] });
  if (status !== 0) process.exit(3);
}
