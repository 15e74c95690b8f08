import { deepEqual, equal } from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { after, describe, it } from "node:test";
import { Net, type Place, PROXY_HOST } from "./net.ts";

// Two members, of whom the second is a server that keeps what it hears, and the first a socket bound to its own address.
const HOSTS = ["127.0.0.101", "127.0.0.102"] as const;
const cleanups: (() => void)[] = [];
after(() => {
  for (const clean of cleanups) clean();
});

async function portOf(host: string): Promise<{ server: Server; port: number }> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, host);
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port };
}

async function freePort(): Promise<number> {
  const { server, port } = await portOf(PROXY_HOST);
  server.close();
  return port;
}

interface Stage {
  readonly net: Net;
  /** Connects as member 0 to where it believes member 1 to be. */
  dial(): Socket;
  /** The next connection that reaches member 1. */
  accepted(): Promise<Socket>;
  readonly count: () => number;
}

async function stage(): Promise<Stage> {
  const { server, port } = await portOf(HOSTS[1]);
  const places: Place[] = [
    { host: HOSTS[0], port: 1, proxyPort: await freePort() },
    { host: HOSTS[1], port, proxyPort: await freePort() },
  ];
  const net = new Net(places);
  await net.listen();
  let count = 0;
  server.on("connection", () => count++);
  cleanups.push(() => {
    net.close();
    server.close();
  });
  return {
    net,
    count: () => count,
    dial: () => {
      const socket = connect({ host: PROXY_HOST, port: (places[1] as Place).proxyPort, localAddress: HOSTS[0] });
      socket.on("error", () => {});
      cleanups.push(() => socket.destroy());
      return socket;
    },
    accepted: async () => {
      const [socket] = (await once(server, "connection")) as [Socket];
      cleanups.push(() => socket.destroy());
      socket.on("error", () => {});
      return socket;
    },
  };
}

/** However it ends: a reset is an error to `once`. */
const closed = (socket: Socket): Promise<void> => new Promise((resolve) => socket.once("close", () => resolve()));

/** Resolves with what came, once it is all of `text`. */
function hears(socket: Socket, text: string): Promise<string> {
  let heard = "";
  return new Promise((resolve) => {
    socket.on("data", (bytes) => {
      heard += bytes.toString();
      if (heard.length >= text.length) resolve(heard);
    });
  });
}

describe("the net between members", () => {
  it("carries bytes both ways, and the end", async () => {
    const { dial, accepted, net } = await stage();
    const near = dial();
    const far = await accepted();
    const there = hears(far, "hello");
    near.end("hello");
    equal(await there, "hello");
    const back = hears(near, "bye");
    far.end("bye");
    equal(await back, "bye");
    await closed(near);
    equal(net.size, 0);
  });

  it("cuts one way: the other way goes on, and what was held comes when it is healed", async () => {
    const { dial, accepted, net } = await stage();
    const near = dial();
    const far = await accepted();
    const log: string[] = [];
    far.on("data", (bytes) => log.push(`there ${bytes}`));
    near.on("data", (bytes) => log.push(`back ${bytes}`));
    net.cut([[0, 1]]);
    near.write("held");
    // Each of these crosses after the held bytes were written.
    for (const word of ["one", "two", "three"]) {
      const came = once(near, "data");
      far.write(word);
      await came;
    }
    deepEqual(log, ["back one", "back two", "back three"]);
    const came = once(far, "data");
    net.heal([[0, 1]], "flow");
    await came;
    equal(log.at(-1), "there held");
  });

  it("lets no connection come about over a cut, in either direction", async () => {
    const { dial, accepted, net, count } = await stage();
    net.cut([[0, 1]]);
    const near = dial();
    await once(near, "connect"); // as far as the net
    near.write("hello");
    net.cut([[1, 0]]);
    net.heal([[0, 1]], "flow");
    const far = await accepted();
    equal(count(), 1);
    const back = hears(near, "welcome");
    far.write("welcome");
    const there = hears(far, "hello");
    equal(await there, "hello");
    net.heal([[1, 0]], "flow");
    equal(await back, "welcome");
  });

  it("says nothing of a death behind a cut, until it is healed", async () => {
    const { dial, accepted, net } = await stage();
    const near = dial();
    const far = await accepted();
    let isTold = false;
    near.once("close", () => {
      isTold = true;
    });
    net.cut([[1, 0]]);
    far.resetAndDestroy();
    // The other direction is open all the time: a second connection passes meanwhile.
    const second = dial();
    const secondFar = await accepted();
    const there = hears(secondFar, "after");
    second.write("after");
    await there;
    equal(isTold, false);
    net.heal([[1, 0]], "flow");
    if (!isTold) await closed(near);
  });

  it("resets what was cut, if it is told to", async () => {
    const { dial, accepted, net } = await stage();
    const near = dial();
    await accepted();
    net.cut([[1, 0]]);
    const gone = closed(near);
    net.heal([[1, 0]], "reset");
    await gone;
    equal(net.size, 0);
  });

  it("counts cuts: one that was cut twice is healed twice", async () => {
    const { net } = await stage();
    net.cut([[0, 1]]);
    net.cut([[0, 1]]);
    net.heal([[0, 1]], "flow");
    equal(net.isCut(0, 1), true);
    net.heal([[0, 1]], "flow");
    equal(net.isCut(0, 1), false);
  });
});
