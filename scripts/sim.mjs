// npm run sim -- [--seed BASE] [--seeds COUNT] [--story NAME] [--mutation NAME | --mutations] [--trace FILE] [--json]
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ensureDependencies, ROOT } from "./ensure-dependencies.mjs";
import { runMutations } from "./mutations.mjs";
import { runNode } from "./run.mjs";

const args = process.argv.slice(2);
const isFlag = (name) => args.some((argument) => argument === name || argument.startsWith(`${name}=`));

if (isFlag("--mutation") || isFlag("--mutations")) {
  ensureDependencies();
  process.exitCode = await runMutations(args);
} else {
  const stories = join(ROOT, "test", "stories", "all.ts");
  const imports = isFlag("--story") && existsSync(stories) ? ["--import", pathToFileURL(stories).href] : [];
  runNode([...imports, join(ROOT, "src", "sim", "main.ts"), ...args]);
}
