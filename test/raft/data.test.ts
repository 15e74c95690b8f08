import { fileURLToPath } from "node:url";
import { RaftBench } from "./bench.ts";
import { walkData } from "./walk-data.ts";

walkData(fileURLToPath(new URL("../data/raft", import.meta.url)), () => {
  const bench = new RaftBench(); // fresh for each file
  return (command) => bench.run(command);
});
