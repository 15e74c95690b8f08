import { realEnv } from "../../env/index.ts";
import { transportConformance } from "../conformance.ts";
import type { TransportBench } from "../conformance-kit.ts";
import type { Transport } from "../types.ts";
import { MemoryNetwork } from "./network.ts";

transportConformance("memory", makeMemoryBench);

function makeMemoryBench(): TransportBench {
  const env = realEnv();
  const transports: Transport[] = [];
  const network = new MemoryNetwork({ conditions: { isBlocked: (_from, to) => to === "mute:1" } });
  return {
    env,
    make(identity, address = `node:${transports.length + 1}`) {
      const transport = network.transport({ env, identity, address });
      transports.push(transport);
      return transport;
    },
    nobody: async () => "nobody:1",
    mute: async () => "mute:1",
    run: (story) => story(),
    async close() {
      await Promise.all(transports.map((transport) => transport.close()));
    },
  };
}
