import { deepEqual, ok } from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Network } from "../../src/index.ts";
import { endAll, flood, hello, peer } from "./attacker.ts";
import type { Attack, Ports } from "./attacks.ts";
import { MEMBERS, NETWORK, type Report, SECRET, type VictimMessage } from "./protocol.ts";

/** Measured after collections: what is kept, and not what passes through. */
const RSS_GROWTH_BYTES_MAX = 64 * 1024 * 1024;
const WARM_UP_MS = 1_000;

/** What one attack did to the victim, since the report before it. */
export interface Damage {
  readonly commands: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly leaderChanges: number;
  /** Since the siege began. */
  readonly rssGrowthBytes: number;
  readonly notes: readonly string[];
}

/** A group of three in a process of its own, with an honest client that executes commands all the time. The attackers are in this process. */
export class Siege {
  readonly ports: Ports;
  readonly #child: ChildProcess;
  readonly #baseline: Report;

  private constructor(child: ChildProcess, ports: Ports, baseline: Report) {
    this.#child = child;
    this.ports = ports;
    this.#baseline = baseline;
  }

  static async begin(): Promise<Siege> {
    const child = fork(fileURLToPath(new URL("victim.ts", import.meta.url)), {
      execArgv: ["--expose-gc", "--import", import.meta.resolve("tsx")],
    });
    const ready = await nextMessage(child);
    ok(ready.type === "ready");
    // What a first connection costs for good is no leak.
    await flood(WARM_UP_MS, 8, async (number) => {
      const socket = await peer(ready.ports.leader, number % 8);
      socket.write(hello(socket, {}, "some other secret", number % 8));
      await once(socket.resume(), "close");
    });
    await newcomer(ready.ports);
    return new Siege(child, ready.ports, await ask(child));
  }

  end(): void {
    endAll();
    this.#child.kill();
  }

  /**
   * Attacks, then asserts that the group is unharmed: every command acknowledged and applied once, one leader in one term from the
   * beginning, no memory or link kept, and the door still open to an honest newcomer. No time is asserted.
   */
  async withstand(attack: Attack): Promise<Damage> {
    const earlier = await ask(this.#child);
    const notes: string[] = [];
    try {
      await attack.run(this.ports, {
        note: (text) => notes.push(text),
        newcomer: () => newcomer(this.ports),
        connections: async () => Math.max(...(await ask(this.#child)).connections),
      });
    } finally {
      endAll();
    }
    // The slowest that were met while the attack went on, and while a newcomer joins after it.
    await newcomer(this.ports);
    const now = await ask(this.#child);
    this.#assertUnharmed(earlier, now);
    return {
      commands: now.acknowledged - earlier.acknowledged,
      p50Ms: now.p50Ms,
      p99Ms: now.p99Ms,
      maxMs: now.maxMs,
      leaderChanges: Math.max(...now.terms) - Math.max(...earlier.terms),
      rssGrowthBytes: now.rssBytes - this.#baseline.rssBytes,
      notes,
    };
  }

  #assertUnharmed(earlier: Report, now: Report): void {
    deepEqual(now.failures, []);
    ok(now.acknowledged > earlier.acknowledged, "commands went on");
    ok(now.applied >= now.acknowledged, "none is lost");
    ok(now.applied <= now.begun, "none is applied twice");
    deepEqual(now.terms, this.#baseline.terms, "no election");
    deepEqual(now.leaders, this.#baseline.leaders, "the same leader");
    const growth = now.rssBytes - this.#baseline.rssBytes;
    ok(growth < RSS_GROWTH_BYTES_MAX, `grew by ${megabytes(growth)}`);
  }
}

/** An honest node, with the secret, finds all three. */
async function newcomer(ports: Ports): Promise<void> {
  const bootstrap = `127.0.0.1:${ports.leader}`;
  const network = await Network.create(NETWORK, { secret: SECRET, listen: "127.0.0.1:0", bootstrap, logger: false });
  try {
    await network.discovery.when.found({ minimumOf: MEMBERS });
  } finally {
    await network.close();
  }
}

async function ask(child: ChildProcess): Promise<Report> {
  const answer = nextMessage(child);
  child.send("report");
  const message = await answer;
  ok(message.type === "report");
  return message.report;
}

async function nextMessage(child: ChildProcess): Promise<VictimMessage> {
  const [received] = (await once(child, "message")) as [VictimMessage];
  return received;
}

export const megabytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
