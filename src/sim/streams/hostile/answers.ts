import type { PeerId, UniqueId } from "../../../identity/index.ts";
import type { Connection } from "../../../transport/index.ts";
import { ByteReader, CLOSE, type Hello } from "../../../wire/index.ts";
import { CODES } from "./line.ts";
import type { HostilePeer } from "./peer.ts";
import { type NamedScript, SCRIPTS } from "./scripts.ts";

const NOTHING = new Uint8Array(0);
const SILENT = { onData: () => {}, onEnd: () => {}, onDrain: () => {}, onClose: () => {} };

type Answer =
  | { readonly type: "mute" }
  | { readonly type: "cut" }
  /** With these codes in turn. */
  | { readonly type: "refuse"; readonly codes: readonly number[] }
  | { readonly type: "let in"; readonly script: NamedScript };

/** Made to be dialled without end, if that were up to the producer: to let in and cut at once; to refuse, each time for another reason; to refuse, and have a new entry. */
const STUBBORN: readonly (readonly Answer[])[] = [
  [
    {
      type: "let in",
      script: {
        name: "cutting at once",
        standing: "fair",
        run: (line, lane) => {
          line.accept(lane, 1);
          void line.link.close(CLOSE.cancelled, "no reason");
        },
      },
    },
  ],
  [{ type: "refuse", codes: [CLOSE.unknownPeer, CLOSE.cancelled] }],
  [{ type: "refuse", codes: [CLOSE.streamNotAllowed] }],
];

/** What it does to consumers who dial it: for a while always the same, or one of two things; or the same thing always, so that they come again for that. */
export class Answers {
  readonly #peer: HostilePeer;
  #mood: readonly Answer[] = [];
  #moodUntilUs = 0;
  readonly #stubborn: readonly Answer[] | undefined;
  /** How often, by consumer. */
  readonly #refused = new Map<string, number>();
  /** The last one of each consumer. */
  readonly #lanes = new Map<string, string>();

  constructor(peer: HostilePeer) {
    this.#peer = peer;
    const { random } = peer;
    this.#stubborn = random.chance(1, 4) ? random.pick(STUBBORN) : undefined;
  }

  get isStubborn(): boolean {
    return this.#stubborn !== undefined;
  }

  answer(connection: Connection): void {
    const answer = this.#draw();
    switch (answer.type) {
      case "cut":
        return connection.destroy();
      case "mute":
        return connection.start(SILENT);
      case "refuse":
        return this.#peer.spawn(() => this.#refuse(connection, answer.codes));
      case "let in":
        return this.#peer.spawn(() => this.#letIn(connection, answer.script));
    }
  }

  #count(from: PeerId, stream: UniqueId): void {
    const { stage, node } = this.#peer;
    try {
      stage.hostility.dials.onDial(node.peerId, from, stream, stage.simulation.world.nowUs);
    } catch (violation) {
      stage.simulation.world.fail(violation);
    }
  }

  #draw(): Answer {
    const { random, stage } = this.#peer;
    const { nowUs } = stage.simulation.world;
    if (this.#stubborn !== undefined) return random.pick(this.#stubborn);
    if (nowUs >= this.#moodUntilUs) {
      this.#moodUntilUs = nowUs + random.between(500, 8_000) * 1_000;
      this.#mood = Array.from({ length: random.pick([1, 2, 8]) }, () => this.#drawOne());
    }
    return random.pick(this.#mood);
  }

  #drawOne(): Answer {
    const { random } = this.#peer;
    if (random.chance(1, 10)) return random.pick([{ type: "mute" }, { type: "cut" }]);
    if (random.chance(1, 4)) return { type: "refuse", codes: [random.pick(CODES)] };
    return { type: "let in", script: random.pick(SCRIPTS) };
  }

  async #refuse(connection: Connection, codes: readonly number[]): Promise<void> {
    const refuse = (hello: Hello): { readonly refuse: number; readonly reason: string } => {
      const key = `${connection.remoteId}/${streamOf(hello)}`;
      const turn = this.#refused.get(key) ?? 0;
      this.#refused.set(key, turn + 1);
      const code = codes[turn % codes.length] as number;
      if (code !== CLOSE.streamNoCapacity) this.#count(connection.remoteId, streamOf(hello));
      return { refuse: code, reason: "no reason" };
    };
    await this.#peer.admit(connection, refuse, { conduct: "refuses" });
  }

  async #letIn(connection: Connection, script: NamedScript): Promise<void> {
    const { random } = this.#peer;
    let key = "";
    const accept = (hello: Hello): { readonly payload: Uint8Array } => {
      const stream = streamOf(hello);
      this.#count(connection.remoteId, stream);
      key = `${connection.remoteId}/${stream}`;
      return { payload: random.chance(1, 10) ? random.bytes(100) : NOTHING };
    };
    const line = await this.#peer.admit(connection, accept, { conduct: script.name });
    if (script.standing === "doubtful") line.strains();
    if (script.standing === "broken") line.breaks();
    const last = this.#lanes.get(key);
    // Only who goes back knows what was.
    const lane =
      script.standing === "doubtful" && last !== undefined ? last : Buffer.from(random.bytes(16)).toString("hex");
    this.#lanes.set(key, lane);
    await script.run(line, lane);
  }
}

function streamOf({ payload }: Hello): UniqueId {
  return new ByteReader(payload).id();
}
