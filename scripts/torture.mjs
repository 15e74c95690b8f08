// npm run torture -- --minutes N [--seed S] [--history FILE] [--json]: see test/torture/main.ts
import { runTypeScript } from "./run.mjs";

runTypeScript("test/torture/main.ts", process.argv.slice(2));
