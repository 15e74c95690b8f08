import { rejects } from "node:assert/strict";
import { it } from "node:test";
import { memoryStore } from "../../../test/groups/kit.ts";
import { VirtualWorld } from "../../env/index.ts";
import { DecodeError } from "../../wire/index.ts";
import type { MachineRuntime } from "../machine/index.ts";
import { loadOrClose } from "./store.ts";

it("a store that cannot be read is closed, so that it can be opened again", async () => {
  const storage = memoryStore(new VirtualWorld({ seed: 1 }).env("ada"), "ada");
  storage.openSnapshot = () => Promise.reject(new DecodeError("of another version"));
  await rejects(loadOrClose(storage, {} as MachineRuntime), DecodeError);
  await rejects(storage.append([]), { code: "closed" });
});
