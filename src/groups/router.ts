import { MosaikError } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import type { Term } from "../raft/index.ts";
import type { Bond, BondFrame } from "./bonds/index.ts";
import type { Life } from "./life/index.ts";
import type { Proposer, Reads } from "./requests/index.ts";

/** Points this node's commands and strong reads at whoever serves as leader: here, over a bond, or nowhere for now. */
export class Router {
  readonly #selfId: PeerId;
  readonly #proposer: Proposer;
  readonly #reads: Reads;
  /** The present route. The same leader in another term, or over another bond, is another one: what was sent may be lost. */
  #to: Life | Bond | undefined;
  #term: Term = 0;

  constructor(selfId: PeerId, proposer: Proposer, reads: Reads) {
    this.#selfId = selfId;
    this.#proposer = proposer;
    this.#reads = reads;
  }

  /** @param bondOf - the bond with a peer, if there is one */
  update(life: Life | undefined, bondOf: (peer: PeerId) => Bond | undefined): void {
    if (life?.isServing === true) return this.#change(life, life.term, () => this.#here(life));
    const leader = life?.leader;
    const bond = leader === undefined || leader === this.#selfId ? undefined : bondOf(leader);
    if (bond === undefined || !bond.status.isServing || bond.status.incarnation !== life?.incarnation) {
      return this.#change(undefined, 0, () => this.#nowhere());
    }
    this.#change(bond, bond.status.term, () => this.#there(bond));
  }

  /** An answer. Only of whom we asked: nobody else's count. */
  onFrame(bond: Bond, frame: BondFrame): void {
    if (bond === this.#to) this.#onAnswer(frame);
  }

  #onAnswer(frame: BondFrame): void {
    if (frame.type === "commands-refused") this.#proposer.onRefused(frame.session, frame.expected);
    else if (frame.type === "commands-unsupported")
      this.#proposer.onUnsupported(frame.session, frame.number, frame.members);
    else if (frame.type === "read-reply") this.#reads.onReply(frame.request, frame.index);
  }

  #change(to: Life | Bond | undefined, term: Term, follow: () => void): void {
    if (to === this.#to && term === this.#term) return;
    this.#to = to;
    this.#term = term;
    follow();
  }

  #here(life: Life): void {
    this.#reads.setRoute((request) => life.office.read((index) => this.#reads.onReply(request, index)));
    this.#proposer.setRoute({
      isFull: false,
      get noRoomAt() {
        return life.office.hasRoom ? undefined : pathOf(life.driver.refusal);
      },
      openSession: (key) => life.office.openSession(key, this.#selfId),
      closeSession: (key) => life.office.closeSession(key, this.#selfId),
      send: (session, batches) => {
        const answer = life.commands.fromSelf(session, batches);
        // Not at once: the proposer is in the middle of sending.
        if (answer !== undefined) queueMicrotask(() => this.#onAnswer(answer));
        return answer === undefined;
      },
    });
  }

  #there(bond: Bond): void {
    this.#reads.setRoute((request) => bond.send({ type: "read", request }));
    this.#proposer.setRoute({
      get isFull() {
        return bond.isSlow;
      },
      get noRoomAt() {
        return bond.status.isFull ? "" : undefined;
      },
      openSession: (key) => bond.send({ type: "open-session", key }),
      closeSession: (key) => bond.send({ type: "close-session", key }),
      send: (session, batches) => bond.send({ type: "commands", session, batches }),
    });
  }

  #nowhere(): void {
    this.#proposer.setRoute(undefined);
    this.#reads.setRoute(undefined);
  }
}

function pathOf(refusal: MosaikError | undefined): string {
  return MosaikError.is(refusal, "storage-full") ? refusal.details.path : "";
}
