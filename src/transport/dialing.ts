import { type Env, LIMITS, whenAborted } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import { type Address, DialError, type DialFailure, type PeerAddress } from "./types.ts";

/** The failure of a whole dial is the first of these that occurred: the later ones say less. */
const MOST_TELLING: readonly DialFailure[] = ["alpn-refused", "handshake-failed", "wrong-peer", "self", "unreachable"];

/** Tries the addresses in order, `LIMITS.addressesMax` of them. @throws one DialError for all; the reason of `signal` */
export async function dialInOrder<T>(
  peer: PeerAddress,
  selfId: PeerId,
  signal: AbortSignal,
  attempt: (address: Address) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  if (peer.id === selfId) throw new DialError("self", "this is ourselves");
  const failures: DialError[] = [];
  for (const address of peer.addresses.slice(0, LIMITS.addressesMax)) {
    try {
      return await attempt(address);
    } catch (cause) {
      if (!(cause instanceof DialError)) throw cause;
      failures.push(cause);
    }
    signal.throwIfAborted();
  }
  throw gatherFailures(failures);
}

function gatherFailures(failures: readonly DialError[]): DialError {
  const [only] = failures;
  if (only === undefined) return new DialError("unreachable", "the peer has no address");
  if (failures.length === 1) return only;
  const failure = MOST_TELLING.find((each) => failures.some((error) => error.failure === each)) ?? "unreachable";
  return new DialError(failure, failures.map((error) => error.message).join("; "), new AggregateError(failures));
}

interface Attempt {
  readonly env: Env;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly onTimeout: () => DialError;
}

/**
 * A wait that ends: by what `begin` reports, by the deadline, or with the reason of the signal. `begin` returns how to abandon it,
 * which is called in the last two cases; what it reports afterwards is ignored.
 */
export function attemptWithin<T>(
  { env, signal, timeoutMs, onTimeout }: Attempt,
  begin: (resolve: (value: T) => void, reject: (cause: unknown) => void) => () => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    let isOver = false;
    const settle = (): boolean => {
      if (isOver) return false;
      isOver = true;
      timer.cancel();
      endListening();
      return true;
    };
    const timer = env.after(timeoutMs, () => {
      if (!settle()) return;
      abandon();
      reject(onTimeout());
    });
    const endListening = whenAborted(signal, (reason) => {
      if (!settle()) return;
      abandon();
      reject(reason);
    });
    let abandon = (): void => {};
    try {
      abandon = begin(
        (value) => settle() && resolve(value),
        (cause) => settle() && reject(cause),
      );
    } catch (cause) {
      settle();
      reject(cause);
    }
  });
}
