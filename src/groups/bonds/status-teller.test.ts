import { deepEqual } from "node:assert/strict";
import { test } from "node:test";
import { statusOf } from "../../../test/groups/kit.ts";
import type { Bonds } from "./bonds.ts";
import type { BondFrame } from "./frames.ts";
import { StatusTeller } from "./status-teller.ts";

test("others hear at once that a member would rather not lead, and once a second how far its log is, even if no command was applied", () => {
  const frames: BondFrame[] = [];
  const bonds = { all: [{ send: (frame: BondFrame) => frames.push(frame) }] } as unknown as Bonds;
  const teller = new StatusTeller(() => bonds);
  const status = statusOf({ index: 5, isReluctant: false });
  teller.tell(status);
  teller.tell({ ...status, isReluctant: true });
  teller.tell({ ...status, isReluctant: true, index: 6 });
  teller.tellPosition({ ...status, isReluctant: true, index: 6 });
  teller.tellPosition({ ...status, isReluctant: true, index: 6 });
  const told = frames.map((frame) =>
    frame.type === "status" ? [frame.status.index, frame.status.isReluctant] : frame,
  );
  deepEqual(told, [
    [5, false],
    [5, true],
    [6, true],
  ]);
});
