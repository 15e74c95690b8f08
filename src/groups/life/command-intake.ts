import type { PeerId } from "../../identity/index.ts";
import type { Index } from "../../raft/index.ts";
import { DecodeError } from "../../wire/index.ts";
import type { Bond, BondFrame } from "../bonds/index.ts";
import { isSameSupport, type NumberedBatch, readCommands, type Support } from "../entries/index.ts";
import type { MachineRuntime } from "../machine/index.ts";
import type { Compatibility } from "./compatibility.ts";
import type { LifeContext } from "./life-context.ts";
import type { Office } from "./office.ts";

/** Why not all that was sent is taken. */
export type CommandsAnswer = Extract<BondFrame, { type: "commands-refused" | "commands-unsupported" }>;

type Context = Pick<LifeContext, "runtime" | "selfId"> & {
  readonly compatibility: Pick<Compatibility, "own" | "isComplete" | "supportOf" | "behind">;
};
type Desk = Pick<Office, "agreed" | "isServing" | "takeBatches" | "endSession">;

/** Commands on their way into a leader's log, from others and from its own node: only what all members can apply gets there. */
export class CommandIntake {
  readonly #c: Context;
  readonly #office: Desk;

  constructor(context: Context, office: Desk) {
    this.#c = context;
    this.#office = office;
  }

  /** @throws DecodeError */
  fromPeer(bond: Bond, session: Index, batches: readonly NumberedBatch[]): CommandsAnswer | undefined {
    const { runtime, compatibility } = this.#c;
    const unknown = checkBatches(runtime, batches, {
      agreed: compatibility.isComplete ? undefined : this.#office.agreed,
      mayKnowMore: bond.machine !== undefined && !isSameSupport(bond.machine, compatibility.own),
    });
    return this.#take(session, bond.peer, batches, unknown, () => compatibility.behind(bond));
  }

  /** What was agreed may have changed since its caller sent it, or since another leader took it. */
  fromSelf(session: Index, batches: readonly NumberedBatch[]): CommandsAnswer | undefined {
    const { runtime, compatibility, selfId } = this.#c;
    const unknown = compatibility.isComplete
      ? undefined
      : checkBatches(runtime, batches, { agreed: this.#office.agreed, mayKnowMore: true });
    return this.#take(session, selfId, batches, unknown, () => [selfId]);
  }

  /**
   * A number cannot be left out, so the session ends there; its owner goes on in another one without this batch. If nobody lacks its command, it is
   * about to be agreed on: then it is to be sent again, with what comes after it.
   *
   * @param unread - who lacks a command that we cannot even read
   */
  #take(
    session: Index,
    owner: PeerId,
    batches: readonly NumberedBatch[],
    unknown: UnknownCommand | undefined,
    unread: () => readonly PeerId[],
  ): CommandsAnswer | undefined {
    const known = unknown === undefined ? batches : batches.slice(0, unknown.at);
    const expected = this.#office.takeBatches(session, owner, known);
    if (expected !== undefined) return { type: "commands-refused", session, expected };
    if (unknown === undefined || !this.#office.isServing) return undefined;
    const { name, number } = unknown;
    const support = name === undefined ? unread() : this.#c.compatibility.supportOf([name], true);
    if (support === "waiting" || support === "agreed") return { type: "commands-refused", session, expected: number };
    this.#office.endSession(session);
    return { type: "commands-unsupported", session, number, members: support };
  }
}

/** In the batch of that number; `at` is its place among those that came with it. */
interface UnknownCommand {
  readonly at: number;
  readonly number: number;
  /** Undefined: our machine cannot read it. */
  readonly name: string | undefined;
}

/**
 * What a peer sends is decoded before it enters the log: garbage there would halt every replica.
 *
 * @param sender.agreed - only these names may go into the log; undefined: all that our machine has may
 * @param sender.mayKnowMore - its machine is not ours, so what we cannot decode need not be garbage
 * @returns the first batch that holds a command which some member cannot apply, if there is one
 * @throws DecodeError also for what a user's codec throws: to us it is the peer's fault, and ends its link alone
 */
function checkBatches(
  runtime: MachineRuntime,
  batches: readonly NumberedBatch[],
  { agreed, mayKnowMore }: { readonly agreed: Support | undefined; readonly mayKnowMore: boolean },
): UnknownCommand | undefined {
  const isNamed = agreed !== undefined && runtime.commandNames.length > 0;
  for (const [at, batch] of batches.entries()) {
    const { number } = batch;
    try {
      for (const { name } of readCommands(batch, runtime.readCommand)) {
        if (isNamed && !agreed.commands.includes(name)) return { at, number, name };
      }
    } catch (cause) {
      if (mayKnowMore) return { at, number, name: undefined };
      if (cause instanceof DecodeError) throw cause;
      throw new DecodeError("a command that the machine's codec does not know", { cause });
    }
  }
  return undefined;
}
