import type { Entry, Index, Term } from "../../raft/index.ts";
import { codeOf, type FileSystem, type OpenFile } from "./file-system.ts";
import { Damage } from "./frames.ts";
import { segmentName } from "./layout.ts";
import { ENTRY_HEAD_BYTES, readEntry } from "./records.ts";
import type { StoreView } from "./store-view.ts";

/** Entries that lie close together are read at once, up to this. */
const SPAN_BYTES_MAX = 1024 * 1024;

interface Wanted {
  readonly index: Index;
  readonly term: Term;
  readonly position: number;
  readonly dataBytes: number;
}
/** Entries in one segment, one after the other. */
interface Span {
  readonly segment: number;
  readonly from: number;
  to: number;
  readonly wanted: Wanted[];
}

/**
 * Entries from..to, both included, clamped to what is kept. Where each lies is taken down at once, so that later changes do not mix in;
 * those that are pruned meanwhile are left out.
 *
 * @throws Damage an entry is not as it was written
 */
export async function readEntries(
  files: FileSystem,
  folder: string,
  view: StoreView,
  from: Index,
  to: Index,
): Promise<readonly Entry[]> {
  const { boundary, last } = view.marks;
  const pieces: (Span | Entry)[] = [];
  for (let index = Math.max(from, boundary.index + 1); index <= Math.min(to, last.index); index++) {
    const found = view.find(index);
    const term = view.termAt(index);
    if (found === undefined || term === undefined) throw new Damage(`entry ${index} is nowhere`);
    if ("entry" in found) pieces.push(found.entry);
    else addTo(pieces, found.place.segment, { index, term, ...found.place });
  }
  const entries: Entry[] = [];
  for (const piece of pieces) {
    if (!("wanted" in piece)) entries.push(piece);
    else for (const entry of await readSpan(files, folder, view, piece)) entries.push(entry);
  }
  return entries;
}

function addTo(pieces: (Span | Entry)[], segment: number, wanted: Wanted): void {
  const end = wanted.position + ENTRY_HEAD_BYTES + wanted.dataBytes;
  const span = pieces.at(-1);
  const isNear = span !== undefined && "wanted" in span && span.segment === segment && span.to <= wanted.position;
  if (isNear && end - span.from <= SPAN_BYTES_MAX) {
    span.to = end;
    span.wanted.push(wanted);
  } else pieces.push({ segment, from: wanted.position, to: end, wanted: [wanted] });
}

async function readSpan(files: FileSystem, folder: string, view: StoreView, span: Span): Promise<readonly Entry[]> {
  let file: OpenFile;
  try {
    file = await files.open(`${folder}/${segmentName(span.segment)}`, "read");
  } catch (cause) {
    // Pruned, or replaced by a snapshot, since we looked.
    const isGone = codeOf(cause) === "ENOENT" && span.wanted.every((wanted) => !isStillAt(view, span.segment, wanted));
    if (isGone) return [];
    throw codeOf(cause) === "ENOENT" ? new Damage("a segment is missing") : cause;
  }
  try {
    const bytes = Buffer.alloc(span.to - span.from);
    if ((await file.read(bytes, span.from)) < bytes.length) throw new Damage("a segment is shorter than it was");
    return span.wanted.map((wanted) => readEntry(bytes, wanted.position - span.from, wanted));
  } finally {
    await file.close();
  }
}

function isStillAt(view: StoreView, segment: number, { index, position }: Wanted): boolean {
  const found = view.find(index);
  return (
    found !== undefined && "place" in found && found.place.segment === segment && found.place.position === position
  );
}
