import { deepEqual, equal, ok } from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { after, afterEach, before, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { encodeFrame as encodeBondFrame } from "../../src/groups/frames.ts";
import { Network } from "../../src/index.ts";
import { CLOSE, encodeFrame } from "../../src/wire/index.ts";
import {
  closeCode,
  closed,
  credentials,
  DISCOVERY,
  endAll,
  flood,
  hello,
  insider,
  p256,
  peer,
  tcp,
  tls,
} from "./attacker.ts";
import { MEMBERS, NETWORK, type Report, SECRET, type VictimMessage } from "./protocol.ts";

// A group of three under attack, while an honest client executes commands. The attackers are here, the victim has a process of its own.

const RSS_GROWTH_MAX = 64 * 1024 * 1024;
const FLOOD_MS = 1_000;

let child: ChildProcess;
let ports: { readonly leader: number; readonly follower: number };
let baseline: Report;

async function message(): Promise<VictimMessage> {
  const [received] = (await once(child, "message")) as [VictimMessage];
  return received;
}

async function ask(): Promise<Report> {
  child.send("report");
  const answer = await message();
  ok(answer.type === "report");
  return answer.report;
}

before(async () => {
  child = fork(fileURLToPath(new URL("victim.ts", import.meta.url)), {
    execArgv: ["--expose-gc", "--import", import.meta.resolve("tsx")],
  });
  const ready = await message();
  ok(ready.type === "ready");
  ports = ready.ports;
  // What a first connection costs for good is no leak.
  await flood(FLOOD_MS, 8, async (number) => closeCode((await peer(ports.leader, number % 8)).end(new Uint8Array(3))));
  await newcomer();
  baseline = await ask();
});

afterEach(endAll);
after(() => child.kill());

/** An honest node, with the secret, finds all three. */
async function newcomer(): Promise<void> {
  const bootstrap = `127.0.0.1:${ports.leader}`;
  const network = await Network.create(NETWORK, { secret: SECRET, listen: "127.0.0.1:0", bootstrap, logger: false });
  try {
    await network.discovery.when.found({ minimumOf: MEMBERS });
  } finally {
    await network.close();
  }
}

/** Every command acknowledged and applied once, one leader in one term from the beginning, no memory kept, and the door still open. */
async function assertUnharmed(t: TestContext, earlier: Report): Promise<void> {
  await newcomer();
  const now = await ask();
  deepEqual(now.failures, []);
  ok(now.acknowledged > earlier.acknowledged, "commands went on");
  ok(now.applied >= now.acknowledged, "none is lost");
  ok(now.applied <= now.begun, "none is applied twice");
  deepEqual(now.terms, baseline.terms);
  deepEqual(now.leaders, baseline.leaders);
  ok(now.rssBytes - baseline.rssBytes < RSS_GROWTH_MAX, `grew by ${megabytes(now.rssBytes - baseline.rssBytes)}`);
  const commands = now.acknowledged - earlier.acknowledged;
  t.diagnostic(
    `${commands} commands, p99 ${now.p99Ms.toFixed(1)} ms, ${megabytes(now.rssBytes - baseline.rssBytes)} more`,
  );
}

const megabytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;

/** The group is unharmed by what `attack` does. */
function abuse(title: string, attack: (t: TestContext) => Promise<void>): void {
  test(title, { timeout: 30_000 }, async (t) => {
    const earlier = await ask();
    await attack(t);
    endAll();
    await assertUnharmed(t, earlier);
  });
}

const strangers: readonly (readonly [title: string, attack: (port: number) => Promise<unknown>])[] = [
  ["garbage", async (port) => closed(tcp(port).end("GET / HTTP/1.1\r\nhost: x\r\n\r\n"))],
  ["TLS 1.2", async (port) => closed(tls(port, { ...(await credentials()), ...alpn(), maxVersion: "TLSv1.2" }))],
  ["no certificate", async (port) => closed(tls(port, alpn()))],
  ["a P-256 certificate", async (port) => closed(tls(port, { ...(await ecdsa), ...alpn() }))],
  ["no ALPN", async (port) => closed(tls(port, await credentials()))],
  ["another protocol", async (port) => closed(tls(port, { ...(await credentials()), ...alpn("h2") }))],
];
const alpn = (protocol = DISCOVERY) => ({ ALPNProtocols: [protocol] });
const ecdsa = p256();

for (const [title, attack] of strangers) {
  abuse(`a flood of ${title}`, async (t) => {
    const count = await flood(FLOOD_MS, 16, () => attack(ports.leader));
    ok(count > 16, "the attack went on");
    t.diagnostic(`${count} connections`);
  });
}

abuse("sessions are asked for again, and never resumed", async () => {
  let session: Buffer | undefined;
  for (let time = 0; time < 5; time++) {
    const socket = tls(ports.leader, {
      ...(await credentials()),
      ...alpn(),
      ...(session === undefined ? {} : { session }),
    });
    socket.on("session", (given: Buffer) => {
      session = given;
    });
    await once(socket, "secureConnect");
    equal(socket.isSessionReused(), false);
    session ??= socket.getSession();
    socket.end();
    await closed(socket);
  }
});

abuse("a thousand connections at once that say nothing, and handshakes that never end", async (t) => {
  const sockets = Array.from({ length: 1_000 }, (_, number) => {
    const socket = tcp(number % 2 === 0 ? ports.leader : ports.follower);
    // The first bytes of a record that never comes.
    if (number % 4 < 2) socket.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]));
    return socket;
  });
  const kept = new Set(sockets);
  for (const socket of sockets) socket.once("close", () => kept.delete(socket));
  await ask();
  await newcomer();
  t.diagnostic(`${kept.size} of ${sockets.length} were let in`);
  // Nobody is waited for: the deadline ends those that got in.
  await Promise.all(sockets.map(closed));
});

abuse("one byte a second, before TLS, and in the hello", async () => {
  const slow = await Promise.all(
    Array.from({ length: 40 }, async (_, number) => {
      const socket = number % 2 === 0 ? tcp(ports.leader) : await peer(ports.leader, number % 8);
      const bytes =
        number % 2 === 0
          ? Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01])
          : Buffer.from(encodeFrame(0, new Uint8Array(300)));
      let at = 0;
      const timer = setInterval(() => socket.write(bytes.subarray(at, ++at)), 1_000);
      socket.once("close", () => clearInterval(timer));
      return socket;
    }),
  );
  await Promise.all(slow.map(closed));
});

const LENGTH_AT = 0;
const VERSION_AT = 4;
const KIND_AT = 5;
function damaged(at: number, ...bytes: readonly number[]): Uint8Array {
  const frame = encodeFrame(0, new Uint8Array(100));
  frame.set(bytes, at);
  return frame;
}

const frames: readonly (readonly [title: string, bytes: Uint8Array, code: number | undefined])[] = [
  ["too long", damaged(LENGTH_AT, 0x7f, 0xff, 0xff, 0xff), CLOSE.protocolViolation],
  ["cut off", damaged(LENGTH_AT).subarray(0, 40), undefined],
  ["of an unknown version", damaged(VERSION_AT, 9), CLOSE.versionMismatch],
  ["of an unknown kind", damaged(KIND_AT, 9), CLOSE.protocolViolation],
  ["without sense", damaged(LENGTH_AT), CLOSE.protocolViolation],
];

for (const [title, bytes, code] of frames) {
  abuse(`a flood of frames ${title}`, async (t) => {
    const count = await flood(FLOOD_MS, 8, async (number) => {
      const socket = await peer(ports.leader, number % 8);
      socket.write(bytes);
      if (code === undefined) socket.end();
      equal(await closeCode(socket), code);
    });
    t.diagnostic(`${count} connections`);
  });
}

abuse("a flood of hellos for another network, and without the secret", async (t) => {
  const count = await flood(2 * FLOOD_MS, 8, async (number) => {
    const isElsewhere = number % 2 === 0;
    const socket = await peer(ports.leader, number % 8);
    const change = isElsewhere ? { network: "0".repeat(64) as never } : {};
    socket.write(hello(socket, change, isElsewhere ? SECRET : "some other secret", number % 8));
    equal(await closeCode(socket), isElsewhere ? CLOSE.differentNetwork : CLOSE.invalidProof);
  });
  t.diagnostic(`${count} hellos`);
});

abuse("hellos one after the other on one connection, and more than one link holds", async () => {
  const socket = await peer(ports.leader, 1);
  const one = Buffer.from(hello(socket, {}, "some other secret", 1));
  socket.write(Buffer.concat(Array.from({ length: 10_000 }, () => one)));
  equal(await closeCode(socket), CLOSE.invalidProof);
});

abuse("a member that knows the secret, asks for everything, and never reads", async (t) => {
  const { socket, incarnation } = await insider(ports.leader, 5);
  const questions = [
    encodeBondFrame({ type: "fetch", incarnation, after: { index: 0, term: 0 }, commit: 0 }),
    encodeBondFrame({ type: "read", request: 1 }),
  ];
  const asked = Buffer.concat(questions.map(({ kind, payload }) => encodeFrame(kind, payload)));
  const thousand = Buffer.concat(Array.from({ length: 1_000 }, () => asked));
  let sent = 0;
  for (const endMs = performance.now() + 2 * FLOOD_MS; performance.now() < endMs && !socket.destroyed; sent++) {
    if (!socket.write(thousand)) await Promise.race([once(socket, "drain"), sleep(100)]);
  }
  ok(sent > 1);
  await newcomer();
  t.diagnostic(`${sent} thousand questions`);
});

abuse("peers with a good certificate that never read", async () => {
  const silent = await Promise.all(Array.from({ length: 60 }, (_, number) => peer(ports.leader, number % 8)));
  for (const [number, socket] of silent.entries()) {
    socket.pause();
    if (number % 2 === 0) socket.write(hello(socket, {}, "some other secret", number % 8));
  }
  await newcomer();
  // The deadline of the handshake, and what a closing may take: after that nobody holds a place.
  await sleep(8_000);
  const { connections } = await ask();
  ok(Math.max(...connections) <= 8, `${connections} links of three members`);
});
