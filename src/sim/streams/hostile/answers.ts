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
  | { readonly type: "refuse"; readonly code: number }
  | { readonly type: "let in"; readonly script: NamedScript };

/** What it does to consumers who dial it: for a while always the same, or one of two things, so that they come again and again for that. */
export class Answers {
  readonly #peer: HostilePeer;
  #mood: readonly Answer[] = [];
  #moodUntilUs = 0;
  /** The last one of each consumer. */
  readonly #lanes = new Map<string, string>();

  constructor(peer: HostilePeer) {
    this.#peer = peer;
  }

  answer(connection: Connection): void {
    const answer = this.#draw();
    if (answer.type !== "refuse" || answer.code !== CLOSE.streamNoCapacity) this.#count(connection.remoteId);
    switch (answer.type) {
      case "cut":
        return connection.destroy();
      case "mute":
        return connection.start(SILENT);
      case "refuse":
        return this.#peer.spawn(() => this.#refuse(connection, answer.code));
      case "let in":
        return this.#peer.spawn(() => this.#letIn(connection, answer.script));
    }
  }

  #count(from: PeerId): void {
    const { stage } = this.#peer;
    try {
      stage.hostility.dials.onDial(from, stage.plan.streams.length, stage.simulation.world.nowUs);
    } catch (violation) {
      stage.simulation.world.fail(violation);
    }
  }

  #draw(): Answer {
    const { random, stage } = this.#peer;
    const { nowUs } = stage.simulation.world;
    if (nowUs >= this.#moodUntilUs) {
      this.#moodUntilUs = nowUs + random.between(500, 8_000) * 1_000;
      this.#mood = Array.from({ length: random.pick([1, 2, 8]) }, () => this.#drawOne());
    }
    return random.pick(this.#mood);
  }

  #drawOne(): Answer {
    const { random } = this.#peer;
    if (random.chance(1, 10)) return random.pick([{ type: "mute" }, { type: "cut" }]);
    if (random.chance(1, 4)) return { type: "refuse", code: random.pick(CODES) };
    return { type: "let in", script: random.pick(SCRIPTS) };
  }

  async #refuse(connection: Connection, code: number): Promise<void> {
    await this.#peer.admit(connection, () => ({ refuse: code, reason: "no reason" }), { conduct: "refuses" });
  }

  async #letIn(connection: Connection, script: NamedScript): Promise<void> {
    const { random } = this.#peer;
    let key = "";
    const accept = (hello: Hello): { readonly payload: Uint8Array } => {
      key = `${connection.remoteId}/${streamOf(hello)}`;
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
