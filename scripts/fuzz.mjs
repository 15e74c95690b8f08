// npm run fuzz -- [--inputs COUNT=1000000] [--seed SEED=1] [--decoder NAME [--input HEX]] [--json]
import { runTypeScript } from "./run.mjs";

runTypeScript("test/fuzz/main.ts", process.argv.slice(2));
