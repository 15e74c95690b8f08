import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, it } from "node:test";
import { incarnation, memoryStore, peer, store } from "../../../test/groups/kit.ts";
import { LIMITS, Scope, VirtualWorld } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import type { Storage } from "../../storage/index.ts";
import type { Bond } from "../bonds/bond.ts";
import type { BondFrame } from "../bonds/frames.ts";
import { chunksOf, HASH_BYTES, type SnapshotOffer } from "../bonds/snapshot-frames.ts";
import { encodeConfiguration } from "../entries/entries.ts";
import { memberId } from "../entries/member-id.ts";
import { type ChunkIntake, ChunkList } from "../machine/index.ts";
import { encodeSnapshot } from "../replica/snapshot-format.ts";
import { SessionTable } from "../sessions/sessions.ts";
import { SnapshotFetcher } from "./fetcher.ts";
import { hashOf } from "./server.ts";
import type { FetchedSnapshot } from "./transfer.ts";

const BOUND = incarnation("ada");
const voters = ["ada", "bob", "cyd"].map((name) => memberId(peer(name), store(name)));
const CHUNK = LIMITS.snapshotChunkBytes;

/** The data of a snapshot of some two megabytes. */
function dataOf(text = "x", establishedIndex = 5, version = 1, chunks = largeChunks(text)): Uint8Array {
  const facts = {
    incarnation: BOUND,
    position: 7,
    timeMs: 9,
    openIndex: 3,
    establishedIndex,
    agreed: undefined,
    origins: [],
    machine: { name: "m", version },
  };
  return Uint8Array.from(Buffer.concat([...encodeSnapshot(facts, new SessionTable(), chunks)]));
}

function largeChunks(text: string): unknown[] {
  return Array.from({ length: 20 }, (_, i) => [i, text.repeat(100_000)]);
}

function offerOf(data: Uint8Array, index = 64): SnapshotOffer {
  const hashes = new Uint8Array(chunksOf(data.length) * HASH_BYTES);
  for (let i = 0; i < chunksOf(data.length); i++) hashes.set(hashOf(chunkOf(data, i)), i * HASH_BYTES);
  return { index, term: 2, configuration: encodeConfiguration(voters), bytes: data.length, hashes };
}

const chunkOf = (data: Uint8Array, chunk: number): Uint8Array => data.slice(chunk * CHUNK, (chunk + 1) * CHUNK);

const hashText = (data: Uint8Array): string => Buffer.from(hashOf(data)).toString("hex");

/** Counts what it is given before anything else has its turn. */
class CountingIntake extends ChunkList {
  longest = 0;
  count = 0;
  #run = 0;

  override add(chunk: unknown): void {
    super.add(chunk);
    this.count++;
    if (this.#run === 0) void Promise.resolve().then(() => (this.#run = 0));
    this.longest = Math.max(this.longest, ++this.#run);
  }
}

/** A member that holds `data`, and answers after a millisecond; what it does instead is up to the test. */
class Source {
  readonly peer: PeerId;
  readonly served: number[] = [];
  isOpen = true;
  /** Offers only what is late enough. */
  isRealistic = false;
  offer: SnapshotOffer | undefined;
  answer: (chunk: number) => Uint8Array | undefined;
  readonly #bench: Bench;

  constructor(bench: Bench, name: string, data: Uint8Array | undefined) {
    this.#bench = bench;
    this.peer = peer(name);
    this.offer = data && offerOf(data);
    this.answer = (chunk) => data && chunkOf(data, chunk);
  }

  get bond(): Bond {
    return this as unknown as Bond;
  }
  get status(): object {
    return { incarnation: BOUND, role: "voter" };
  }

  send(frame: BondFrame): void {
    this.#bench.scope.after(1, () => {
      if (!this.isOpen) return;
      const { fetcher } = this.#bench;
      const isLate = !this.isRealistic || (frame.type === "snapshot-ask" && frame.index <= (this.offer?.index ?? 0));
      if (frame.type === "snapshot-ask" && this.offer !== undefined && isLate) {
        fetcher.onOffer(this.bond, { type: "snapshot-offer", incarnation: BOUND, snapshot: this.offer });
      }
      if (frame.type !== "snapshot-fetch") return;
      const data = this.answer(frame.chunk);
      if (data === undefined) return;
      this.served.push(frame.chunk);
      fetcher.onChunk(this.bond, { ...frame, type: "snapshot-chunk", data });
    });
  }

  die(): void {
    this.isOpen = false;
    this.#bench.fetcher.onBondDown(this.bond);
  }
}

class Bench {
  readonly world = new VirtualWorld({ seed: 1 });
  readonly env = this.world.env("ada");
  readonly scope = new Scope(this.env, (cause) => this.world.fail(cause));
  readonly storage: Storage = memoryStore(this.env, "ada");
  readonly fetched: FetchedSnapshot[] = [];
  readonly sources: Source[] = [];
  leader: PeerId | undefined;
  commit = 0;
  intake: ChunkIntake = new ChunkList();
  readonly fetcher = new SnapshotFetcher({
    env: this.env,
    scope: this.scope,
    storage: this.storage,
    incarnation: BOUND,
    runtime: { version: 1, intake: () => this.intake },
    bonds: () => this.sources.filter(({ isOpen }) => isOpen).map(({ bond }) => bond),
    leader: () => this.leader,
    commit: () => this.commit,
    onFetched: (snapshot) => this.fetched.push(snapshot),
    onFailure: (cause) => this.world.fail(cause),
  });

  add(name: string, data?: Uint8Array): Source {
    const source = new Source(this, name, data);
    this.sources.push(source);
    return source;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.env.after(ms, resolve));
  }

  /** What the store would hold if it were installed. */
  async installed(): Promise<string | undefined> {
    await this.fetched[0]?.writer.install();
    const reader = await this.storage.openSnapshot();
    return reader && hashText(await reader.read(0, reader.head.bytes));
  }
}

function play(title: string, run: (bench: Bench) => Promise<void>): void {
  it(title, async () => {
    const bench = new Bench();
    await bench.world.run(() => run(bench));
  });
}

describe("a snapshot on its way in", () => {
  const data = dataOf();
  const count = chunksOf(data.length);

  play("comes from all who hold it, but not from the leader", async (bench) => {
    const [bob, cyd, dan] = ["bob", "cyd", "dan"].map((name) => bench.add(name, data)) as [Source, Source, Source];
    bench.leader = dan.peer;
    bench.fetcher.want(64);
    bench.fetcher.want(64);
    await bench.sleep(1_000);
    equal(bench.fetched.length, 1);
    deepEqual(bench.fetched[0]?.mark, { index: 64, term: 2, voters });
    equal(bench.fetched[0]?.state.position, 7);
    deepEqual([bob.served.length > 1, cyd.served.length > 1, dan.served.length], [true, true, 0]);
    deepEqual(
      [...bob.served, ...cyd.served].sort((a, b) => a - b),
      [...Array(count).keys()],
    );
    equal(await bench.installed(), hashText(data));
  });

  play("is decoded in slices, however many pieces a chunk has", async (bench) => {
    const pieces = Array.from({ length: 100_000 }, (_, i) => i);
    const small = dataOf("", 5, 1, pieces);
    ok(chunksOf(small.length) > 1);
    const intake = new CountingIntake();
    bench.intake = intake;
    bench.add("bob", small);
    bench.add("cyd", small);
    bench.fetcher.want(64);
    while (bench.fetched.length === 0) await bench.sleep(1);
    deepEqual([...(bench.fetched[0]?.state.chunks ?? [])], pieces);
    ok(intake.longest <= 256, `${intake.longest} pieces at once`);
    equal(await bench.installed(), hashText(small));
  });

  play("is asked for further while a chunk is decoded", async (bench) => {
    const pieces = Array.from({ length: 200_000 }, (_, i) => i);
    const small = dataOf("", 5, 1, pieces);
    ok(chunksOf(small.length) > 2);
    const intake = new CountingIntake();
    bench.intake = intake;
    const bob = bench.add("bob", small);
    // While the second is on its way, the first alone gives a reason to ask for more.
    bob.answer = (chunk) => (chunk === 1 ? undefined : chunkOf(small, chunk));
    const decodedAt = new Map<number, number>();
    const send = bob.send.bind(bob);
    bob.send = (frame) => {
      if (frame.type === "snapshot-fetch") decodedAt.set(frame.chunk, intake.count);
      send(frame);
    };
    bench.fetcher.want(64);
    while (!decodedAt.has(2)) await bench.sleep(1);
    ok((decodedAt.get(2) ?? 0) <= 256, `${decodedAt.get(2)} pieces were decoded before`);
  });

  play("comes from the leader if nobody else has it", async (bench) => {
    bench.add("bob");
    const cyd = bench.add("cyd", data);
    bench.leader = cyd.peer;
    bench.fetcher.want(60);
    await bench.sleep(1_000);
    equal(bench.fetched.length, 1);
    equal(cyd.served.length, count);
  });

  play("is asked for again while nobody has it, and no longer when it is not needed", async (bench) => {
    const bob = bench.add("bob");
    bench.fetcher.want(64);
    await bench.sleep(5_000);
    equal(bench.fetcher.isBusy, true);
    bob.offer = offerOf(data);
    bench.commit = 64;
    await bench.sleep(5_000);
    deepEqual([bench.fetcher.isBusy, bench.fetched.length], [false, 0]);
  });

  play("is another one than a liar spoke of, as soon as somebody else says what is needed", async (bench) => {
    const bob = bench.add("bob", data);
    // The real member does not offer what is not late enough.
    bob.isRealistic = true;
    bench.fetcher.want(Number.MAX_SAFE_INTEGER);
    await bench.sleep(3_000);
    equal(bench.fetched.length, 0);
    bench.fetcher.want(60);
    await bench.sleep(3_000);
    equal(bench.fetched.length, 1);
  });

  play("goes on with others when a source falls silent, dies, or has it no more", async (bench) => {
    const [bob, cyd, dan, eve] = ["bob", "cyd", "dan", "eve"].map((name) => bench.add(name, data)) as Source[] as [
      Source,
      Source,
      Source,
      Source,
    ];
    bob.answer = () => undefined;
    const gone = cyd.answer;
    cyd.answer = (chunk) => (cyd.served.length < 1 ? gone(chunk) : new Uint8Array(0));
    const last = dan.answer;
    dan.answer = (chunk) => {
      if (dan.served.length === 1) bench.scope.after(0, () => dan.die());
      return last(chunk);
    };
    bench.fetcher.want(64);
    await bench.sleep(10_000);
    equal(bench.fetched.length, 1);
    ok(eve.served.length >= count - 5);
    ok(bench.fetcher.counts.replaced >= 3);
    equal(await bench.installed(), hashText(data));
  });

  play("goes on where it was when its only source comes back, and asks for no chunk twice", async (bench) => {
    const bob = bench.add("bob", data);
    const all = bob.answer;
    bob.answer = (chunk) => {
      if (bob.served.length === 2) bench.scope.after(0, () => bob.die());
      return bob.served.length < 3 ? all(chunk) : undefined;
    };
    bench.fetcher.want(64);
    await bench.sleep(3_000);
    equal(bench.fetched.length, 0);
    const again = bench.add("bob", data);
    await bench.sleep(3_000);
    equal(bench.fetched.length, 1);
    equal(bob.served.length + again.served.length, count);
    equal(await bench.installed(), hashText(data));
  });

  play("is not what one says whose chunks are not what it said", async (bench) => {
    const bob = bench.add("bob", data);
    const cyd = bench.add("cyd", data);
    const honest = bob.answer;
    bob.answer = (chunk) => honest(chunk)?.fill(1);
    bench.fetcher.want(64);
    await bench.sleep(2_000);
    equal(bench.fetched.length, 1);
    equal(bob.served.length <= 2, true);
    equal(cyd.served.length, count);
    equal(await bench.installed(), hashText(data));
  });

  play("is what most say", async (bench) => {
    bench.add("mallory", dataOf("evil"));
    bench.add("bob", data);
    bench.add("cyd", data);
    bench.fetcher.want(64);
    await bench.sleep(2_000);
    equal(await bench.installed(), hashText(data));
  });

  play("is what the leader says if as many say something else", async (bench) => {
    bench.add("mallory", dataOf("evil"));
    bench.leader = bench.add("bob", data).peer;
    bench.fetcher.want(64);
    await bench.sleep(2_000);
    equal(await bench.installed(), hashText(data));
  });

  play("that makes no sense is refused, and another taken", async (bench) => {
    const nonsense = [Uint8Array.of(1, 2, 3, 4, 5), data.slice(0, -3), dataOf("y", 65), dataOf("z", 5, 2)];
    const liars = nonsense.map((bytes, i) => bench.add(`liar ${i}`, bytes));
    bench.fetcher.want(64);
    await bench.sleep(12_000);
    equal(bench.fetched.length, 0);
    equal(bench.fetcher.counts.refused, liars.length);
    bench.add("bob", data);
    await bench.sleep(3_000);
    equal(await bench.installed(), hashText(data));
  });

  play("holds few chunks in memory, though the first comes last", async (bench) => {
    const bob = bench.add("bob", data);
    const cyd = bench.add("cyd", data);
    for (const source of [bob, cyd]) {
      const all = source.answer;
      source.answer = (chunk) => (chunk === 0 ? undefined : all(chunk));
    }
    bench.fetcher.want(64);
    await bench.sleep(500);
    ok(Math.max(...bob.served, ...cyd.served) <= 8);
  });
});
