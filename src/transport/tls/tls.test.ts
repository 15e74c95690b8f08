import { createServer, type Server } from "node:net";
import { realEnv } from "../../env/index.ts";
import { transportConformance } from "../conformance.ts";
import type { TransportBench } from "../conformance-kit.ts";
import type { Transport } from "../types.ts";
import { tlsTransport } from "./transport.ts";

transportConformance("tls", makeTlsBench);

function makeTlsBench(): TransportBench {
  const env = realEnv();
  const transports: Transport[] = [];
  const servers: Server[] = [];
  const listen = async (server: Server): Promise<string> => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const bound = server.address();
    return `127.0.0.1:${typeof bound === "object" && bound !== null ? bound.port : 0}`;
  };
  return {
    env,
    make(identity, address) {
      const transport = tlsTransport({ env, identity, listen: address });
      transports.push(transport);
      return transport;
    },
    async nobody() {
      const server = createServer();
      const address = await listen(server);
      await new Promise((resolve) => server.close(resolve));
      return address;
    },
    async mute() {
      const server = createServer((socket) => socket.on("error", () => {}));
      servers.push(server);
      return listen(server);
    },
    run: (story) => story(),
    async close() {
      await Promise.all(transports.map((transport) => transport.close()));
      for (const server of servers) server.close();
    },
  };
}
