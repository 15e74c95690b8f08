// npm run build [-- --out FOLDER]
// Writes dist/ (or FOLDER): tsc's JavaScript and declarations.
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ensureDependencies, ROOT } from "./ensure-dependencies.mjs";

const DIST = outFolder();

ensureDependencies();
rmSync(DIST, { recursive: true, force: true });
compile();

function outFolder() {
  try {
    const { values } = parseArgs({ options: { out: { type: "string", default: join(ROOT, "dist") } } });
    return resolve(values.out);
  } catch (error) {
    console.error(error.message);
    process.exit(2);
  }
}

function compile() {
  const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  const { status } = spawnSync(process.execPath, [tsc, "-p", join(ROOT, "tsconfig.build.json"), "--outDir", DIST], {
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 3);
}
