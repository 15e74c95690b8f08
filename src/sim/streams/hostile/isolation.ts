import type { PeerId } from "../../../identity/index.ts";
import { CLOSE } from "../../../wire/index.ts";
import { RunViolation } from "../../group-invariants.ts";
import type { SimulatedNode } from "../../simulation.ts";

/** As `inspect` tells it. */
interface ConsumerView {
  readonly name: string;
  readonly producers: readonly { readonly peer: PeerId; readonly lastCode: number | undefined }[];
}

/** Why honest links end, when no wire fails: programs close, are slow, find no place, and are not known yet; what a slow one does not read is given up. */
const ORDERLY: readonly number[] = [
  CLOSE.success,
  CLOSE.cancelled,
  CLOSE.gracefulShutdown,
  CLOSE.unknownPeer,
  CLOSE.streamNotFound,
  CLOSE.streamTooSlow,
  CLOSE.streamNoCapacity,
  CLOSE.unexpectedClose,
];
/** When wires fail, also so. */
const BROKEN: readonly number[] = [CLOSE.keepAliveTimeout, CLOSE.handshakeTimeout];

/** No link of an honest consumer with an honest producer ended for a reason that is not theirs. @throws RunViolation */
export function checkIsolation(honest: readonly SimulatedNode[], isStormy: boolean): void {
  const peers = new Set(honest.map(({ peerId }) => peerId));
  for (const { name, network } of honest) {
    const { consumers } = network.inspect().streams as { readonly consumers: readonly ConsumerView[] };
    for (const { producers, name: stream } of consumers) {
      for (const { peer, lastCode } of producers) {
        if (!peers.has(peer) || lastCode === undefined || ORDERLY.includes(lastCode)) continue;
        if (isStormy && BROKEN.includes(lastCode)) continue;
        throw new RunViolation(
          "stream-isolation",
          `the link of ${name} with ${peer} (${stream}) ended with ${lastCode}`,
        );
      }
    }
  }
}
