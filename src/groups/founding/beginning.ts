import type { LogPosition, Term } from "../../raft/index.ts";
import type { IncarnationId, Owner, Storage } from "../../storage/index.ts";
import { encodeConfiguration, memberId } from "../entries/index.ts";
import type { LifeContext } from "../life/index.ts";
import { Chunker } from "../replica/index.ts";
import type { Pause } from "./replay.ts";

/** Terms that lost members may have come to without us. Leaders of the new incarnation come after them, since a term fences. */
const TERMS_LEFT_OUT = 1_000;

/**
 * Binds a free store to an incarnation that begins with this state, and has this member as its only voter. If that fails, the store is free.
 *
 * @param options.pieces - of the state's snapshot
 * @throws what `pieces` throws, `storage-full`, `storage-failed`; the reason of `pause`
 */
export async function writeBeginning(options: {
  readonly context: LifeContext;
  readonly storage: Storage;
  readonly incarnation: IncarnationId;
  readonly pieces: Iterable<Uint8Array>;
  readonly last: LogPosition;
  readonly term: Term;
  readonly pause: Pause;
}): Promise<void> {
  const { context, storage, incarnation, last, pause } = options;
  const configuration = encodeConfiguration([memberId(context.selfId, storage.storeId)]);
  const writer = await storage.createSnapshot({ ...last, configuration });
  try {
    const chunker = new Chunker();
    for (const piece of options.pieces) {
      const chunk = chunker.add(piece);
      if (chunk !== undefined) await writer.write(chunk);
      if (pause.isDue) await pause.take();
    }
    const chunk = chunker.end();
    if (chunk !== undefined) await writer.write(chunk);
    const owner: Owner = { incarnation, hardState: { term: options.term + TERMS_LEFT_OUT, votedFor: undefined } };
    await writer.install(owner);
  } catch (cause) {
    await writer.discard().catch(() => undefined);
    throw cause;
  }
}
