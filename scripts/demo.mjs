// npm run demo [-- --json]
import { runTypeScript } from "./run.mjs";

runTypeScript("demo/main.ts", process.argv.slice(2));
