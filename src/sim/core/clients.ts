import type { SeededRandom } from "../../env/index.ts";
import type { Index, Ready } from "../../raft/index.ts";
import { type CoreNode, KIND_COMMAND, KIND_VOTERS } from "./node.ts";
import type { CoreWorld } from "./world.ts";

const FINAL_RETRY_US = 2_000_000;

/** Proposes commands and asks for reads, also of members that only believe to lead, and counts what became of them. */
export class CoreClients {
  readonly #world: CoreWorld;
  readonly #random: SeededRandom;
  /** Commands with unknown outcome, by their text. */
  readonly #commands = new Set<string>();
  /** Reads that wait: what was committed when they were asked. */
  readonly #reads = new Map<number, number>();
  #ok = 0;
  #notApplied = 0;
  #lastId = 0;
  #changes = 0;
  #isChanging = false;
  /** The command that shows that the group is alive after the faults, and where it was committed. */
  #final: { readonly text: string; readonly atUs: number; index: Index | undefined } | undefined;

  constructor(world: CoreWorld, random: SeededRandom) {
    this.#world = world;
    this.#random = random;
  }

  /** Configurations that were appended. */
  get changes(): number {
    return this.#changes;
  }

  /** What a command proposed after the faults led to is with everybody who votes. */
  get isSettled(): boolean {
    const index = this.#final?.index;
    if (index === undefined) return false;
    const reached = this.#world.nodes.filter(({ applied }) => applied >= index);
    const voters = reached.find(({ isLeader }) => isLeader)?.raft?.voters;
    return voters?.every((voter) => reached.some(({ name }) => name === voter)) === true;
  }

  counts(): { ok: number; notApplied: number; unknown: number } {
    return { ok: this.#ok, notApplied: this.#notApplied, unknown: this.#commands.size + this.#reads.size };
  }

  begin(): void {
    this.#world.after(this.#random.below(2 * this.#world.plan.operationIntervalUs), () => {
      this.#act();
      this.begin();
    });
    if (!this.#isChanging && this.#world.plan.changeIntervalUs > 0) this.#changeSoon();
  }

  onReady(node: CoreNode, { committed, reads, readsRefused, dropped }: Ready): void {
    for (const { index, data } of committed) this.#onCommitted(index, Buffer.from(data).toString());
    for (const { id, index } of reads) {
      this.#world.checker.onRead(node.name, index, this.#reads.get(id) ?? 0);
      if (this.#reads.delete(id)) this.#ok++;
    }
    for (const id of readsRefused) if (this.#reads.delete(id)) this.#notApplied++;
    for (const { data } of dropped) if (this.#commands.delete(Buffer.from(data).toString())) this.#notApplied++;
  }

  #act(): void {
    const node = this.#pickNode();
    if (node === undefined) return;
    if (!this.#world.isFaulty) this.#proposeFinal(node);
    else if (this.#random.chance(1, 3)) this.read(node);
    else this.#propose(node);
  }

  #changeSoon(): void {
    this.#isChanging = true;
    this.#world.after(this.#random.below(2 * this.#world.plan.changeIntervalUs), () => {
      const node = this.#pickNode();
      if (node !== undefined && this.#world.isFaulty) this.#change(node);
      this.#changeSoon();
    });
  }

  /** Adds a voter or removes one, perhaps the leader itself. */
  #change(node: CoreNode): void {
    const { voters = [] } = node.raft ?? {};
    const { name } = this.#random.pick(this.#world.nodes);
    const changed = voters.includes(name) ? voters.filter((voter) => voter !== name) : [...voters, name];
    if (changed.length === 0) return;
    this.#world.trace(`change ${node.name} ${changed}`);
    const data = Buffer.from(changed.join(","));
    const { dropped } = this.#world.step(node, [{ type: "propose", entries: [{ kind: KIND_VOTERS, data }] }]);
    if (dropped.length === 0) this.#changes++;
  }

  #pickNode(): CoreNode | undefined {
    const alive = this.#world.nodes.filter(({ raft, pausedUntilUs }) => {
      return raft !== undefined && pausedUntilUs <= this.#world.nowUs;
    });
    const leading = alive.filter((node) => node.isLeader);
    if (leading.length > 0 && this.#random.chance(15, 16)) return this.#random.pick(leading);
    return alive.length > 0 && this.#random.chance(1, 16) ? this.#random.pick(alive) : undefined;
  }

  #propose(node: CoreNode): void {
    const texts = Array.from({ length: 1 + this.#random.below(3) }, () => `c${++this.#lastId}`);
    for (const text of texts) this.#commands.add(text);
    this.#world.trace(`propose ${node.name} ${texts}`);
    const entries = texts.map((text) => ({ kind: KIND_COMMAND, data: Buffer.from(text) }));
    this.#world.step(node, [{ type: "propose", entries }]);
  }

  read(node: CoreNode): void {
    const id = ++this.#lastId;
    this.#reads.set(id, this.#world.checker.committedIndex);
    this.#world.trace(`read ${node.name} ${id}`);
    this.#world.step(node, [{ type: "read", id }]);
  }

  #proposeFinal(node: CoreNode): void {
    const { nowUs } = this.#world;
    const isWaiting = this.#final !== undefined && nowUs - this.#final.atUs < FINAL_RETRY_US;
    if (!node.isLeader || isWaiting || this.#final?.index !== undefined) return;
    const text = `f${++this.#lastId}`;
    this.#final = { text, atUs: nowUs, index: undefined };
    this.#commands.add(text);
    this.#world.trace(`propose ${node.name} ${text}`);
    this.#world.step(node, [{ type: "propose", entries: [{ kind: KIND_COMMAND, data: Buffer.from(text) }] }]);
  }

  #onCommitted(index: Index, text: string): void {
    if (this.#commands.delete(text)) this.#ok++;
    if (this.#final?.text === text) this.#final.index = index;
  }
}
