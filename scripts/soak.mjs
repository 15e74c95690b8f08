// npm run soak -- [--seconds COUNT]: see bench/soak.ts
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { ensureDependencies, ROOT } from "./ensure-dependencies.mjs";
import { runTypeScript } from "./run.mjs";

ensureDependencies();
const { status } = spawnSync(process.execPath, [join(ROOT, "scripts", "build.mjs")], { stdio: ["ignore", 2, 2] });
if (status === 0) runTypeScript("bench/soak.ts", process.argv.slice(2));
else process.exitCode = 3;
