import { createHash } from "node:crypto";
import {
  decodeDigest,
  decodeNews,
  decodeWant,
  encodeDigest,
  encodeNews,
  encodeWant,
  FRAME,
  type GossipEffect,
  type News,
  signDeparture,
} from "../../discovery/index.ts";
import { EventQueue, type SeededRandom, type VirtualEvent } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import { DecodeError } from "../../wire/index.ts";
import { GossipFaults } from "./faults.ts";
import { forge } from "./forge.ts";
import { GossipInvariants } from "./invariants.ts";
import { type GossipDelivery, GossipNetwork } from "./network.ts";
import { GossipNode, type Life, NETWORK, proveOnce } from "./node.ts";
import { drawGossipPlan, type GossipPlan } from "./plan.ts";

interface GossipEvent extends VirtualEvent {
  readonly run: () => void;
}

const FLUSH_US = 1_000;
const NEWS_ITEMS_MAX = 64;

/** Virtual time, the peers, and the one loop that lets things happen. */
export class GossipWorld {
  readonly plan: GossipPlan;
  readonly checker: GossipInvariants;
  readonly network: GossipNetwork;
  readonly nodes: readonly GossipNode[];
  readonly trace: (line: string) => void;
  readonly counts = { forgery: 0, changes: 0, joined: 0, left: 0 };
  nowUs = 0;
  events = 0;
  readonly #queue = new EventQueue<GossipEvent>();
  readonly #random: SeededRandom;
  readonly #faults: GossipFaults;
  readonly #numbers: ReadonlyMap<PeerId, number>;
  #sequence = 0;

  constructor(random: SeededRandom, trace: (line: string) => void) {
    this.#random = random.fork("world");
    this.plan = drawGossipPlan(random.fork("plan"));
    this.trace = (line) => trace(`${this.nowUs} ${line}`);
    this.trace(`plan ${JSON.stringify(this.plan)}`);
    this.network = new GossipNetwork(this.plan, random.fork("network"), (delayUs, delivery) => {
      this.after(delayUs, () => this.#deliver(delivery));
    });
    const { peers, entriesMax, tombstonesMax } = this.plan;
    const listedUsMax = listedUs(this.plan);
    this.checker = new GossipInvariants({ entriesMax, tombstonesMax, listedUsMax, doesForget: entriesMax < peers });
    const prove = proveOnce();
    this.nodes = Array.from({ length: peers }, (_, number) => {
      return new GossipNode({ number, rate: this.#random.between(-20, 20), plan: this.plan, prove });
    });
    this.#numbers = new Map(this.nodes.map(({ id, number }) => [id, number]));
    this.#faults = new GossipFaults(this, random.fork("faults"));
  }

  get isFaulty(): boolean {
    return this.nowUs < this.plan.faultsUntilUs;
  }

  get faults() {
    return { ...this.network.counts, ...this.#faults.counts, forgery: this.counts.forgery };
  }

  /** Ends as soon as all know all; throws what a checker found. */
  run(): void {
    this.#faults.begin();
    for (;;) {
      const event = this.#queue.pop();
      if (event === undefined || event.timeUs > this.plan.endUs) return this.#checkConvergence();
      this.nowUs = event.timeUs;
      this.events++;
      event.run();
      if (this.events % 64 === 0 && this.#faults.isOver && this.#isConverged()) return;
    }
  }

  after(delayUs: number, run: () => void): void {
    this.#queue.push({ timeUs: this.nowUs + delayUs, sequence: this.#sequence++, run });
  }

  /** Something that happens to one life of a node: never after it ends. */
  afterOn(node: GossipNode, delayUs: number, run: (life: Life) => void): void {
    const { life } = node;
    if (life === undefined) return;
    this.after(delayUs, () => {
      if (node.life === life) run(life);
    });
  }

  // ── Lives ──

  start(node: GossipNode): void {
    const life = node.start(this.nowUs, (id) => this.#numbers.get(id));
    this.trace(`start ${node.name} clock=${node.clockErrorMs}`);
    this.checker.onStart(node.name);
    this.checker.onUp(node.id, Number.POSITIVE_INFINITY);
    this.checker.onSigned(life.local.signed, this.nowUs);
    const { announceMs, antiEntropyMs, sweepMs } = this.plan;
    this.#repeat(node, announceMs, () => this.#apply(node, life.gossip.change({}, node.now(this.nowUs))));
    this.#repeat(node, antiEntropyMs, () => this.#compare(node, life));
    this.#repeat(node, sweepMs, () => this.#sweep(node, life));
    this.#seekLinks(node, life);
  }

  /** In order: it says goodbye. */
  leave(node: GossipNode): void {
    const { life } = node;
    if (life === undefined) return;
    const departure = signDeparture(NETWORK, life.local.entry.version.startMs, node.identity);
    this.checker.onDeparture(departure, this.nowUs);
    this.trace(`leave ${node.name}`);
    const payload = encodeNews([{ type: "departure", ageMs: 0, departure }]);
    for (const to of node.neighbours) this.network.send(node.number, to, FRAME.news, payload);
    this.end(node);
  }

  /** Whoever had a link notices later. */
  end(node: GossipNode): void {
    node.life = undefined;
    this.checker.onUp(node.id, this.nowUs);
    for (const number of node.neighbours) {
      const other = this.nodes[number] as GossipNode;
      const { lives } = node;
      this.afterOn(other, this.#random.below(this.plan.detectUsMax), () => {
        if (node.lives === lives || !node.neighbours.has(other.number)) other.neighbours.delete(node.number);
      });
    }
    node.neighbours.clear();
  }

  change(node: GossipNode): void {
    const { life } = node;
    if (life === undefined) return;
    this.counts.changes++;
    this.#apply(node, life.gossip.change({ tags: [`t${this.counts.changes}`] }, node.now(this.nowUs)));
  }

  link(a: GossipNode, b: GossipNode): void {
    if (a === b || a.life === undefined || b.life === undefined || a.neighbours.has(b.number)) return;
    this.trace(`link ${a.name} ${b.name}`);
    this.checker.onLinked(a.name, b.id);
    this.checker.onLinked(b.name, a.id);
    a.neighbours.add(b.number);
    b.neighbours.add(a.number);
    this.#apply(a, a.life.gossip.open(b.id, true));
    this.#apply(b, b.life.gossip.open(a.id, false));
  }

  // ── What nodes do by themselves ──

  #repeat(node: GossipNode, baseMs: number, task: () => void): void {
    this.afterOn(node, (baseMs / 2 + this.#random.below(baseMs)) * 1_000, () => {
      this.#repeat(node, baseMs, task);
      task();
    });
  }

  #compare(node: GossipNode, life: Life): void {
    if (node.neighbours.size === 0) return;
    const other = this.nodes[this.#random.pick([...node.neighbours])] as GossipNode;
    this.#apply(node, [life.gossip.compare(other.id)]);
  }

  #sweep(node: GossipNode, life: Life): void {
    const neighbours = [...node.neighbours]
      .sort((a, b) => a - b)
      .map((number) => (this.nodes[number] as GossipNode).id);
    this.#apply(node, life.gossip.sweep(neighbours, node.now(this.nowUs)));
    this.#seekLinks(node, life);
  }

  /** A peer that it knows, or, knowing nobody, a bootstrap. */
  #seekLinks(node: GossipNode, { catalog }: Life): void {
    if (node.neighbours.size >= this.plan.linksMin) return;
    const known = catalog.entries().map(({ id }) => this.nodes[this.#numbers.get(id) ?? 0] as GossipNode);
    const isAlone = node.neighbours.size === 0 && this.#random.chance(1, 2);
    const candidates = (known.length === 0 || isAlone ? this.nodes : known).filter((other) => {
      return other !== node && other.life !== undefined && !node.neighbours.has(other.number);
    });
    if (candidates.length === 0) return;
    const other = this.#random.pick(candidates);
    if (!this.network.isCut(node.number, other.number)) this.link(node, other);
  }

  // ── Effects and frames ──

  #apply(node: GossipNode, effects: readonly GossipEffect[]): void {
    for (const effect of effects) this.#do(node, effect);
    const { life } = node;
    if (life === undefined) return;
    this.checker.onSigned(life.local.signed, this.nowUs);
    this.checker.check(node.name, life.catalog, node.now(this.nowUs), this.nowUs);
  }

  #do(node: GossipNode, effect: GossipEffect): void {
    const life = node.life as Life;
    switch (effect.type) {
      case "tell":
        return this.#tell(node, this.#numbers.get(effect.to), effect.id);
      case "spread":
        for (const number of node.neighbours) {
          const { id } = this.nodes[number] as GossipNode;
          if (id !== effect.id && id !== effect.from) this.#tell(node, number, effect.id);
        }
        return;
      case "want":
        return this.#send(node, effect.to, FRAME.want, encodeWant(effect.ids));
      case "digest":
        return this.#send(node, effect.to, FRAME.digest, encodeDigest(effect.ranges));
      case "rival":
        life.ownKey.heard(effect.above, effect.addresses, node.now(this.nowUs).monotonicMs);
        return this.#bidInTime(node, life);
      case "joined":
      case "left":
        this.counts[effect.type]++;
        return this.trace(`${effect.type} ${node.name} p${this.#numbers.get(effect.entry.id)}`);
      default:
        return this.trace(`${effect.type} ${node.name}`);
    }
  }

  #bidInTime(node: GossipNode, life: Life): void {
    const waitMs = life.ownKey.waitMs(node.now(this.nowUs).monotonicMs);
    if (waitMs === undefined) return;
    const bid = ++life.bids;
    this.afterOn(node, waitMs * 1_000, () => {
      const above = life.bids === bid ? life.ownKey.bid() : undefined;
      if (above !== undefined) this.#apply(node, life.gossip.raiseAbove(above, node.now(this.nowUs)));
    });
  }

  #tell(node: GossipNode, to: number | undefined, id: PeerId): void {
    const { life, neighbours } = node;
    if (life === undefined || to === undefined || !neighbours.has(to)) return;
    const waiting = life.pending.get(to);
    if (waiting !== undefined) {
      waiting.add(id);
      return;
    }
    life.pending.set(to, new Set([id]));
    this.afterOn(node, this.#random.below(FLUSH_US), () => this.#flush(node, life, to));
  }

  #flush(node: GossipNode, life: Life, to: number): void {
    const ids = [...(life.pending.get(to) ?? [])].sort();
    life.pending.delete(to);
    const now = node.now(this.nowUs);
    for (let first = 0; first < ids.length; first += NEWS_ITEMS_MAX) {
      const list = ids.slice(first, first + NEWS_ITEMS_MAX).flatMap((id) => life.gossip.newsOf(id, now) ?? []);
      if (list.length === 0) continue;
      this.network.send(node.number, to, FRAME.news, encodeNews(list));
      this.#forgeSometimes(node.number, to, list);
    }
  }

  #forgeSometimes(from: number, to: number, list: readonly News[]): void {
    if (!this.isFaulty || !this.#random.chance(this.plan.forgeryRate, 1_000)) return;
    this.network.forge(from, to, FRAME.news, encodeNews([forge(this.#random.pick(list), this.#random)]));
  }

  #send(node: GossipNode, to: PeerId, kind: number, payload: Uint8Array): void {
    const number = this.#numbers.get(to);
    if (number !== undefined && node.neighbours.has(number)) this.network.send(node.number, number, kind, payload);
  }

  #deliver(delivery: GossipDelivery): void {
    const { from, to, kind, payload, copy } = delivery;
    const node = this.nodes[to] as GossipNode;
    const { life } = node;
    if (life === undefined || !this.network.arrive(delivery)) return;
    const print = createHash("sha256").update(payload).digest("hex").slice(0, 12);
    this.trace(`deliver p${from}->p${to} ${kind} ${payload.length} ${print}`);
    const sender = (this.nodes[from] as GossipNode).id;
    try {
      this.#receive(node, life, sender, kind, payload);
    } catch (cause) {
      if (!(cause instanceof DecodeError) || copy !== "forgery") throw cause;
      this.counts.forgery++;
    }
  }

  #receive(node: GossipNode, { gossip }: Life, from: PeerId, kind: number, payload: Uint8Array): void {
    const now = node.now(this.nowUs);
    if (kind === FRAME.digest) return this.#apply(node, gossip.onDigest(from, decodeDigest(payload), now));
    if (kind === FRAME.want) return this.#apply(node, gossip.onWant(from, decodeWant(payload), now));
    for (const news of decodeNews(payload, NETWORK)) {
      this.#apply(node, gossip.take(from, news, gossip.judge(news, now), now));
    }
  }

  // ── The end ──

  #expectedOf(node: GossipNode): PeerId[] {
    return this.nodes
      .filter((other) => other !== node && other.life !== undefined)
      .map(({ id }) => id)
      .sort();
  }

  /** Those that a node lists in the life that they live. */
  #knownTo({ life }: GossipNode): PeerId[] {
    const entries = life?.catalog.entries() ?? [];
    return entries.flatMap(({ id, version }) => {
      const other = this.nodes[this.#numbers.get(id) ?? -1]?.life;
      return other === undefined || other.local.entry.version.startMs === version.startMs ? [id] : [];
    });
  }

  #isConverged(): boolean {
    if (this.plan.entriesMax < this.plan.peers) return this.nowUs > this.plan.faultsUntilUs + 5_000_000;
    return this.nodes.every((node) => {
      return node.life === undefined || this.#knownTo(node).join() === this.#expectedOf(node).join();
    });
  }

  #checkConvergence(): void {
    if (this.plan.entriesMax < this.plan.peers) return;
    for (const node of this.nodes) {
      if (node.life !== undefined) this.checker.onEnd(node.name, this.#knownTo(node), this.#expectedOf(node));
    }
  }
}

/**
 * What an entry can be listed for: until neighbours notice, then until silence is enough on a slow clock and a sweep comes. Time on the way is
 * not counted by ages, and at worst each life in the run hands an entry to the next one.
 */
function listedUs({ detectUsMax, expireAfterMs, sweepMs, delayUsMax, peers }: GossipPlan): number {
  const hops = 3 * peers;
  return detectUsMax + 2 * sweepMs * 1_000 + Math.ceil(expireAfterMs * 1_030) + hops * (delayUsMax + 2 * FLUSH_US);
}
