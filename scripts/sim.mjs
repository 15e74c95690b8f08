// npm run sim -- [--seed BASE] [--seeds COUNT] [--story NAME] [--mutation NAME | --mutations] [--trace FILE] [--json]
import { runTypeScript } from "./run.mjs";

runTypeScript("src/sim/main.ts", process.argv.slice(2));
