import { test } from "node:test";
import { realEnv } from "../env/index.ts";
import { STORAGE_CONFORMANCE } from "./conformance.ts";
import { memoryStorageFactory } from "./memory.ts";

for (const { name, run } of STORAGE_CONFORMANCE) test(`memory: ${name}`, () => run(memoryStorageFactory(realEnv())));
