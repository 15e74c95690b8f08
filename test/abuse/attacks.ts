import { equal, ok } from "node:assert/strict";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { LIMITS } from "../../src/env/index.ts";
import { encodeFrame as encodeBondFrame } from "../../src/groups/bonds/frames.ts";
import { CLOSE, encodeFrame } from "../../src/wire/index.ts";
import {
  closeCode,
  closed,
  credentials,
  DISCOVERY,
  flood,
  hello,
  insider,
  p256,
  peer,
  pour,
  tcp,
  tls,
} from "./attacker.ts";
import { floodsOfMembers } from "./floods.ts";
import { SECRET } from "./protocol.ts";

/** Where two of the three members listen. */
export interface Ports {
  readonly leader: number;
  readonly follower: number;
}

export interface Scene {
  /** For the report. */
  note(text: string): void;
  /** An honest node joins, finds all, and leaves. */
  newcomer(): Promise<void>;
  /** Links of the member that has most. */
  connections(): Promise<number>;
}

/** Asserts how each attacker is sent away; what it did to the group is for others to judge. */
export interface Attack {
  readonly title: string;
  readonly run: (ports: Ports, scene: Scene) => Promise<void>;
}

const FLOOD_MS = 1_000;
/** The first bytes of a TLS record that never ends. */
const RECORD_BEGIN = Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]);

const alpn = (protocol = DISCOVERY) => ({ ALPNProtocols: [protocol] });
const ecdsa = p256();

// ── Before the TLS handshake is over ──

const strangers: readonly (readonly [title: string, attack: (port: number) => Promise<unknown>])[] = [
  ["garbage", async (port) => closed(tcp(port).end("GET / HTTP/1.1\r\nhost: x\r\n\r\n"))],
  ["TLS 1.2", async (port) => closed(tls(port, { ...credentials(), ...alpn(), maxVersion: "TLSv1.2" }))],
  ["no certificate", async (port) => closed(tls(port, alpn()))],
  ["a P-256 certificate", async (port) => closed(tls(port, { ...(await ecdsa), ...alpn() }))],
  ["no ALPN", async (port) => closed(tls(port, credentials()))],
  ["another protocol", async (port) => closed(tls(port, { ...credentials(), ...alpn("h2") }))],
];

const floodsOfStrangers: readonly Attack[] = strangers.map(([title, attack]) => ({
  title: `a flood of ${title}`,
  run: async ({ leader }, { note }) => {
    const count = await flood(FLOOD_MS, 16, () => attack(leader));
    ok(count > 16, "the attack went on");
    note(`${count} connections`);
  },
}));

const resumption: Attack = {
  title: "sessions are asked for again, and never resumed",
  run: async ({ leader }) => {
    let session: Buffer | undefined;
    for (let time = 0; time < 5; time++) {
      const given = session === undefined ? {} : { session };
      const socket = tls(leader, { ...credentials(), ...alpn(), ...given });
      socket.on("session", (issued: Buffer) => {
        session = issued;
      });
      await once(socket, "secureConnect");
      equal(socket.isSessionReused(), false);
      session ??= socket.getSession();
      socket.end();
      await closed(socket);
    }
  },
};

const thousandSilent: Attack = {
  title: "a thousand connections at once that say nothing, and handshakes that never end",
  run: async ({ leader, follower }, { note, newcomer, connections }) => {
    const sockets = Array.from({ length: 1_000 }, (_, number) => {
      const socket = tcp(number % 2 === 0 ? leader : follower);
      if (number % 4 < 2) socket.write(RECORD_BEGIN);
      return socket;
    });
    const kept = new Set(sockets);
    for (const socket of sockets) socket.once("close", () => kept.delete(socket));
    await connections();
    await newcomer();
    note(`${kept.size} of ${sockets.length} were let in`);
    ok(kept.size <= 2 * LIMITS.handshakesPerAddressMax, "each listener holds so many handshakes of one address");
    // Nobody is waited for: the deadline ends those that got in.
    await Promise.all(sockets.map(closed));
  },
};

const thousandHellos: Attack = {
  title: "a thousand clients that say hello at once",
  run: async ({ leader, follower }, { note, newcomer }) => {
    const given = { ...credentials(), ...alpn() };
    let secured = 0;
    const sockets = Array.from({ length: 1_000 }, (_, number) => {
      const socket = tls(number % 2 === 0 ? leader : follower, given);
      socket.once("secureConnect", () => {
        secured++;
        socket.end();
      });
      return socket;
    });
    await Promise.all([newcomer(), ...sockets.map(closed)]);
    ok(secured > 0, "those within the limits are served");
    note(`${secured} of ${sockets.length} finished their handshake`);
  },
};

const oneByteASecond: Attack = {
  title: "one byte a second, before TLS, and in the hello",
  run: async ({ leader }) => {
    const slow = await Promise.all(
      Array.from({ length: 40 }, async (_, number) => {
        const isBare = number % 2 === 0;
        const socket = isBare ? tcp(leader) : await peer(leader, number % 8);
        const bytes = isBare ? RECORD_BEGIN : Buffer.from(encodeFrame(0, new Uint8Array(300)));
        let at = 0;
        const timer = setInterval(() => socket.write(bytes.subarray(at, ++at)), 1_000);
        socket.once("close", () => clearInterval(timer));
        return socket;
      }),
    );
    await Promise.all(slow.map(closed));
  },
};

// ── With a good certificate ──

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

const floodsOfFrames: readonly Attack[] = frames.map(([title, bytes, code]) => ({
  title: `a flood of frames ${title}`,
  run: async ({ leader }, { note }) => {
    const count = await flood(FLOOD_MS, 8, async (number) => {
      const socket = await peer(leader, number % 8);
      socket.write(bytes);
      if (code === undefined) socket.end();
      equal(await closeCode(socket), code);
    });
    note(`${count} connections`);
  },
}));

const wrongHellos: Attack = {
  title: "a flood of hellos for another network, and without the secret",
  run: async ({ leader }, { note }) => {
    const count = await flood(2 * FLOOD_MS, 8, async (number) => {
      const isElsewhere = number % 2 === 0;
      const socket = await peer(leader, number % 8);
      const change = isElsewhere ? { network: "0".repeat(64) as never } : {};
      socket.write(hello(socket, change, isElsewhere ? SECRET : "some other secret", number % 8));
      equal(await closeCode(socket), isElsewhere ? CLOSE.differentNetwork : CLOSE.invalidProof);
    });
    note(`${count} hellos`);
  },
};

const manyHellos: Attack = {
  title: "ten thousand hellos one after the other on one connection",
  run: async ({ leader }) => {
    const socket = await peer(leader, 1);
    const one = Buffer.from(hello(socket, {}, "some other secret", 1));
    socket.write(Buffer.concat(Array.from({ length: 10_000 }, () => one)));
    equal(await closeCode(socket), CLOSE.invalidProof);
  },
};

const silentPeers: Attack = {
  title: "peers with a good certificate that never read",
  run: async ({ leader }, { newcomer, connections }) => {
    const silent = await Promise.all(Array.from({ length: 60 }, (_, number) => peer(leader, number % 8)));
    for (const [number, socket] of silent.entries()) {
      socket.pause();
      if (number % 2 === 0) socket.write(hello(socket, {}, "some other secret", number % 8));
    }
    await newcomer();
    // The deadline of the handshake, and what a closing may take: after that nobody holds a place.
    await sleep(LIMITS.handshakeTimeoutMs + LIMITS.closeTimeoutMs + 1_000);
    ok((await connections()) <= 8, "links of three members, and none of the silent");
  },
};

// ── With the secret ──

const greedyMember: Attack = {
  title: "a member that knows the secret, asks for everything, and never reads",
  run: async ({ leader }, { note, newcomer }) => {
    const { socket, incarnation } = await insider(leader, 5);
    const questions = [
      encodeBondFrame({ type: "fetch", incarnation, after: { index: 0, term: 0 }, commit: 0 }),
      encodeBondFrame({ type: "read", request: 1 }),
    ];
    const asked = Buffer.concat(questions.map(({ kind, payload }) => encodeFrame(kind, payload)));
    const thousand = Buffer.concat(Array.from({ length: 1_000 }, () => asked));
    const sent = await pour(socket, [thousand], 2 * FLOOD_MS);
    ok(sent > 1);
    await newcomer();
    note(`${sent} thousand questions`);
  },
};

export const ATTACKS: readonly Attack[] = [
  ...floodsOfStrangers,
  resumption,
  thousandSilent,
  thousandHellos,
  oneByteASecond,
  ...floodsOfFrames,
  wrongHellos,
  manyHellos,
  greedyMember,
  ...floodsOfMembers,
  silentPeers,
];
