import { defineMachine, Network } from "../../src/index.ts";

// A member in a process of its own. Its parent asks who it is, and tells it to close; then nothing may keep it alive.

const Counter = defineMachine("counter", {
  state: () => ({ value: 0 }),
  commands: {
    add: (state, by: number) => {
      state.value += by;
      return state.value;
    },
  },
  queries: { value: (state) => state.value },
});

const network = await Network.create("e2e groups", { logger: false, bootstrap: process.argv[2] });
network.groups.join("counter", { expect: 3, machine: Counter });

process.on("message", async (message) => {
  if (message === "who") process.send?.(network.peerId);
  if (message !== "close") return;
  await network.close();
  process.disconnect();
});
