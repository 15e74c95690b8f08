// One producer sends as fast as it can to three consumers in other processes, one of which is slow. Reports memory and loop delay, and that gaps are told.
import { randomBytes } from "node:crypto";
import type { Host } from "./hosts.ts";
import { reportOf, type Watched } from "./watched.ts";

interface Figures {
  readonly received: number;
  readonly missed: number;
  /** Between two values that came: not what `missed` said. */
  readonly gaps: number;
}

/** One value each so many milliseconds; 0: as fast as it can. */
const PAUSES_MS = [0, 0, 20];

export async function soakStreams(hosts: readonly Host[], durationMs: number): Promise<boolean> {
  const secret = randomBytes(16).toString("hex");
  const [producer, ...consumers] = await Promise.all(
    hosts.map((host) => host.make("stream-soak", "StreamSoaker", { secret })),
  );
  if (producer === undefined) throw new Error("no host");
  const address = await producer.call<string>("create");
  for (const [i, consumer] of consumers.entries()) {
    await consumer.call("create", address);
    await consumer.call("consume", PAUSES_MS[i]);
  }
  for (const part of [producer, ...consumers]) await part.call("watch");
  const taken = await producer.call<number>("flood", consumers.length, "drop-oldest", durationMs);
  let isExact = true;
  for (const part of [producer, ...consumers]) {
    const { figures, ...watched } = await part.call<Watched & { readonly figures: Figures }>("watched");
    isExact &&= figures.gaps === 0;
    console.log(JSON.stringify({ ...figures, ...reportOf(watched) }));
  }
  console.log(JSON.stringify({ taken, perSecond: Math.round((taken * 1_000) / durationMs), isExact }));
  for (const part of [...consumers, producer]) await part.call("close");
  return isExact;
}
