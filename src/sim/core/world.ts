import { EventQueue, type SeededRandom, type VirtualEvent } from "../../env/index.ts";
import type { Entry, Input, LogPosition, MemberId, Ready } from "../../raft/index.ts";
import { CoreClients } from "./clients.ts";
import { CoreFaults } from "./faults.ts";
import { RaftInvariants } from "./invariants.ts";
import { CoreNetwork, type Delivery } from "./network.ts";
import { CoreNode, KIND_VOTERS, votersOf } from "./node.ts";
import { type CorePlan, drawPlan } from "./plan.ts";
import { describeMessage, describeReady } from "./trace.ts";

interface CoreEvent extends VirtualEvent {
  readonly run: () => void;
}

/** Virtual time, the members, and the one loop that lets things happen. */
export class CoreWorld {
  readonly plan: CorePlan;
  readonly checker = new RaftInvariants();
  readonly network: CoreNetwork;
  readonly nodes: readonly CoreNode[];
  readonly trace: (line: string) => void;
  nowUs = 0;
  events = 0;
  compactions = 0;
  /** Logs that a snapshot replaced. */
  installs = 0;
  readonly #queue = new EventQueue<CoreEvent>();
  readonly #random: SeededRandom;
  readonly #clients: CoreClients;
  readonly #faults: CoreFaults;
  #sequence = 0;

  constructor(random: SeededRandom, trace: (line: string) => void) {
    this.#random = random.fork("world");
    this.plan = drawPlan(random.fork("plan"));
    this.trace = (line) => trace(`${this.nowUs} ${line}`);
    this.trace(`plan ${JSON.stringify(this.plan)}`);
    this.network = new CoreNetwork(this.plan, random.fork("network"), (delayUs, delivery) => {
      this.after(delayUs, () => this.#deliver(delivery));
    });
    this.nodes = this.#makeNodes();
    this.#clients = new CoreClients(this, random.fork("clients"));
    this.#faults = new CoreFaults(this, random.fork("faults"));
  }

  get operations(): { ok: number; notApplied: number; unknown: number } {
    return this.#clients.counts();
  }

  get faults() {
    const { loss, duplication, reorder, cut } = this.network.counts;
    const { compactions: compaction, installs: install } = this;
    const { changes: change } = this.#clients;
    return { loss, duplication, reorder, ...this.#faults.counts, cut, compaction, install, change };
  }

  get isFaulty(): boolean {
    return this.nowUs < this.plan.faultsUntilUs;
  }

  /** True if all ended well, false if no command went through once the faults were over. */
  run(): boolean {
    for (const node of this.nodes) this.start(node);
    this.#faults.begin();
    this.#clients.begin();
    while (!this.#clients.isSettled) {
      const event = this.#queue.pop();
      if (event === undefined || event.timeUs > this.plan.endUs) return false;
      this.nowUs = event.timeUs;
      this.events++;
      event.run();
    }
    return true;
  }

  after(delayUs: number, run: () => void): void {
    this.#queue.push({ timeUs: this.nowUs + delayUs, sequence: this.#sequence++, run });
  }

  /** Something that happens to one life of a member: never after it ends, and not while it is paused. */
  afterOn(node: CoreNode, delayUs: number, run: () => void): void {
    const { life } = node;
    const attempt = (): void => {
      if (node.life !== life || node.raft === undefined) return;
      if (node.pausedUntilUs > this.nowUs) this.after(node.pausedUntilUs - this.nowUs, attempt);
      else run();
    };
    this.after(delayUs, attempt);
  }

  start(node: CoreNode): void {
    node.start(this.drawElectionTicks());
    this.trace(`start ${node.name} term=${node.raft?.term} last=${node.raft?.last.index}`);
    this.afterOn(node, this.#random.below(this.plan.tickUs), () => this.#tick(node));
    if (this.plan.compactIntervalUs > 0) this.#compactSoon(node);
  }

  #compactSoon(node: CoreNode): void {
    this.afterOn(node, this.#random.below(2 * this.plan.compactIntervalUs), () => {
      const input = node.compact(this.#random.pick([0, 0, 1, 5]));
      if (input !== undefined) {
        this.compactions++;
        this.step(node, [input]);
        this.trace(`compact ${node.name} snapshot=${node.raft?.snapshot?.index} base=${node.raft?.base.index}`);
      }
      this.#compactSoon(node);
    });
  }

  /** From anybody who has one that goes far enough, as it lies on the disk there; it comes when it comes, perhaps more than once. */
  #fetchSnapshot(node: CoreNode, wanted: LogPosition): void {
    const source = this.#random.pick(this.nodes);
    const { snapshot } = source;
    if (source.raft === undefined || snapshot === undefined || snapshot.mark.index < wanted.index) return;
    this.afterOn(node, this.#random.below(2 * this.plan.delayUsMax), () => {
      this.trace(`fetched ${node.name} from ${source.name} ${snapshot.mark.index} ${snapshot.state}`);
      const { persist } = this.step(node, [node.receive(snapshot)]);
      if (persist?.snapshot !== undefined) this.installs++;
    });
  }

  /** A pause is over. */
  onAwake(node: CoreNode): void {
    if (node.isLeader && node.pausedUntilUs <= this.nowUs) this.#clients.read(node);
  }

  drawElectionTicks(): number {
    return this.plan.electionTicksMin + this.#random.below(this.plan.electionTicksMin + 1);
  }

  step(node: CoreNode, inputs: readonly Input[]): Ready {
    const wasLeader = node.isLeader;
    const ready = node.step(inputs);
    for (const line of describeReady(node.name, ready)) this.trace(line);
    for (const envelope of ready.send) this.network.send(envelope);
    if (node.beginWrite(ready)) this.#write(node);
    if (ready.snapshotWanted !== undefined) this.#fetchSnapshot(node, ready.snapshotWanted);
    this.#clients.onReady(node, ready);
    if (!wasLeader && node.isLeader) {
      this.trace(`leader ${node.name} term=${node.raft?.term}`);
      this.#faults.onLeader(node);
    } else if (node.isLeader && ready.committed.length > 0 && node.committedInTerm !== node.raft?.term) {
      node.committedInTerm = node.raft?.term;
      this.#faults.onFirstCommit(node);
    }
    return ready;
  }

  #tick(node: CoreNode): void {
    this.trace(`tick ${node.name}`);
    this.step(node, [{ type: "tick", electionTicks: this.drawElectionTicks() }]);
    this.afterOn(node, this.plan.tickUs, () => this.#tick(node));
  }

  #write(node: CoreNode): void {
    const takesUs = this.isFaulty ? this.#random.below(this.plan.diskUsMax + 1) : 0;
    node.hardStateBusyUntilUs = Math.max(node.hardStateBusyUntilUs, this.nowUs + takesUs);
    node.diskBusyUntilUs = Math.max(node.diskBusyUntilUs, node.hardStateBusyUntilUs, node.fullUntilUs);
    this.afterOn(node, node.hardStateBusyUntilUs - this.nowUs, () => {
      const { after, writeId, isVote } = node.finishHardState();
      this.trace(`disk ${node.name} hard state ${writeId ?? "-"}`);
      for (const envelope of after) this.network.send(envelope);
      if (writeId !== undefined) this.step(node, [{ type: "hard-state-persisted", writeId }]);
      if (isVote) this.#faults.onVote(node);
    });
    this.afterOn(node, node.diskBusyUntilUs - this.nowUs, () => {
      const { after, writeId } = node.finishWrite();
      this.trace(`disk ${node.name} ${writeId ?? "-"}`);
      for (const envelope of after) this.network.send(envelope);
      if (writeId !== undefined) this.step(node, [{ type: "persisted", writeId }]);
    });
  }

  #deliver(delivery: Delivery): void {
    const { from, to, message } = delivery.envelope;
    const node = this.nodes.find(({ name }) => name === to);
    if (node?.raft === undefined) return;
    if (node.pausedUntilUs > this.nowUs) {
      this.afterOn(node, 0, () => this.#deliver(delivery));
      return;
    }
    if (!this.network.arrive(delivery)) return;
    this.trace(`deliver ${from}->${to} ${describeMessage(message)}`);
    this.step(node, [{ type: "message", from, message }]);
  }

  #makeNodes(): CoreNode[] {
    const { members, electionTicksMin, heartbeatTicks, appendEntriesMax, inflightBytesMax } = this.plan;
    const first = members.slice(0, this.plan.voters);
    const genesis: Entry = { index: 1, term: 1, kind: KIND_VOTERS, data: Buffer.from(first.join(",")) };
    const appendBytesMax = 100_000;
    const ticks = { electionTicksMin, heartbeatTicks };
    const options = { ...ticks, appendEntriesMax, appendBytesMax, inflightBytesMax, votersOf };
    return members.map((name) => new CoreNode({ name: name as MemberId, genesis, checker: this.checker, options }));
  }
}
