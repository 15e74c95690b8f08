// npm run abuse -- [--attack TEXT] [--json]
import { runTypeScript } from "./run.mjs";

runTypeScript("test/abuse/main.ts", process.argv.slice(2));
