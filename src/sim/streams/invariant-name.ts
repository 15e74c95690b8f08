/** What is promised of streams; `docs/design/simulator.md` says each in words. */
export type StreamInvariantName =
  | "stream-order"
  | "stream-once"
  | "stream-invented"
  | "stream-gap"
  | "stream-bounds"
  | "stream-places"
  | "stream-wait-loses-nothing"
  | "stream-progress"
  | "stream-put-out"
  | "stream-isolation"
  | "stream-dials";
