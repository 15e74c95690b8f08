import { LIMITS, type SeededRandom } from "../../../env/index.ts";
import { Identity } from "../../../identity/index.ts";
import { STREAM_PROTOCOL } from "../../../streams/index.ts";
import type { Connection, Transport } from "../../../transport/index.ts";
import {
  acceptLink,
  HandshakeError,
  type Hello,
  initiateLink,
  type Link,
  type LinkOptions,
} from "../../../wire/index.ts";
import { RunViolation } from "../../group-invariants.ts";
import type { SimulatedNode } from "../../simulation.ts";
import type { Stage } from "../stage.ts";
import { Answers } from "./answers.ts";
import { Intrusions } from "./intrusions.ts";
import { HostileLine } from "./line.ts";

const NOTHING = new Uint8Array(0);

export interface LineTask {
  readonly conduct: string;
  readonly onFrame?: (kind: number) => void;
}

/**
 * A member of the network that means harm. It has a node, which is in everybody's catalog and says that it produces all streams, and at the address
 * which that node advertises a program of its own, which speaks the protocol by hand: over bare connections, and without any limit of its own.
 */
export class HostilePeer {
  readonly node: SimulatedNode;
  readonly stage: Stage;
  readonly random: SeededRandom;
  readonly #transport: Transport;
  readonly #lines = new Set<HostileLine>();
  readonly #answers: Answers;
  readonly #intrusions: Intrusions;

  static async join(stage: Stage, place: number): Promise<HostilePeer> {
    const { simulation, plan } = stage;
    const name = `hostile ${place + 1}`;
    const address = `10.6.6.${place + 1}:6`;
    // Nobody prefers it to anybody.
    const node = await simulation.addNode(name, { advertise: address, attributes: { weight: "0" } });
    const env = simulation.world.env(`${name} by hand`);
    const identity = Identity.fromSeed(node.disk.identitySeed);
    const peer = new HostilePeer(stage, node, simulation.wire.transport({ env, identity, address }));
    await peer.#transport.listen([STREAM_PROTOCOL], (connection) => peer.#answers.answer(connection));
    for (const { definition } of plan.streams) node.network.streams.produce(definition);
    return peer;
  }

  private constructor(stage: Stage, node: SimulatedNode, transport: Transport) {
    this.stage = stage;
    this.node = node;
    this.#transport = transport;
    this.random = stage.simulation.random.fork(`stream-hostile/${node.name}`);
    this.#answers = new Answers(this);
    this.#intrusions = new Intrusions(this);
  }

  get honest(): readonly SimulatedNode[] {
    return this.stage.simulation.nodes.filter(({ name, isUp }) => isUp && this.stage.plan.nodes.includes(name));
  }

  async run(): Promise<void> {
    await Promise.all([this.#intrusions.run(), this.#fidget()]);
  }

  /** It keeps no consumer's place, and holds up nobody. */
  yield(): void {
    this.#intrusions.yield();
  }

  /** Links over which it broke the protocol, and that are still there. */
  tolerated(): readonly HostileLine[] {
    return [...this.#lines].filter(({ isTolerated }) => isTolerated);
  }

  leave(): Promise<void> {
    return this.#transport.close();
  }

  readonly sleep = (ms: number): Promise<void> => this.stage.simulation.sleep(ms);

  fail(invariant: "stream-put-out" | "stream-dials", problem: string): void {
    this.stage.simulation.world.fail(new RunViolation(invariant, `${this.node.name}: ${problem}`));
  }

  /** What a task of its throws is a mistake of ours, but for a handshake that fails. */
  spawn(task: () => Promise<void>): void {
    task().catch((error: unknown) => {
      if (!(error instanceof HandshakeError)) this.stage.simulation.world.fail(error);
    });
  }

  /** @throws DialError */
  connect({ peerId, address }: SimulatedNode): Promise<Connection> {
    const { signal } = new AbortController();
    return this.#transport.dial({ id: peerId, addresses: [address] }, STREAM_PROTOCOL, { signal });
  }

  /** @throws HandshakeError */
  async ask(connection: Connection, payload: Uint8Array, task: LineTask): Promise<HostileLine> {
    return this.#line(await initiateLink(connection, { ...this.#linkOptions(), payload }), connection, task);
  }

  /** @throws HandshakeError */
  async admit(
    connection: Connection,
    accept: (hello: Hello) => { readonly payload: Uint8Array } | { readonly refuse: number; readonly reason: string },
    task: LineTask,
  ): Promise<HostileLine> {
    return this.#line(await acceptLink(connection, { ...this.#linkOptions(), accept }), connection, task);
  }

  /** Changes its entry, for a while often: those whom it turned away come back for that. */
  async #fidget(): Promise<void> {
    const { stage, node, random } = this;
    for (let count = 1; !stage.isOver; count++) {
      node.network.discovery.advertise({ attributes: { mood: `${count}` } });
      const restsMs = random.chance(1, 20) ? random.between(2_000, 5_000) : random.between(50, 1_000);
      await this.sleep(this.#answers.isStubborn ? random.between(50, 150) : restsMs);
    }
  }

  #line(link: Link, connection: Connection, task: LineTask): HostileLine {
    const line = new HostileLine({
      ...task,
      number: this.stage.hostility.nextLine(),
      link,
      connection,
      random: this.random,
      sleep: this.sleep,
      onProblem: (problem) => this.fail("stream-put-out", problem),
    });
    for (const known of this.#lines) if (!known.isOpen) this.#lines.delete(known);
    this.#lines.add(line);
    return line;
  }

  /** The network has no secret: whoever knows its name has all that it takes. */
  #linkOptions(): LinkOptions {
    const { simulation } = this.stage;
    return {
      env: simulation.world.env(`${this.node.name} by hand`),
      protocol: STREAM_PROTOCOL,
      frameBytesMax: 2 * LIMITS.streamFrameBytesMax,
      hello: { versionMin: 1, versionMax: 1, network: this.node.network.id, features: 0 },
      proofs: { prove: () => NOTHING, verify: () => true },
      onBug: (cause) => simulation.world.fail(cause),
    };
  }
}
