const BRAND = Symbol.for("mosaik.rejection");

/**
 * Thrown by a command before it changed anything: its caller gets `command-rejected`, and the command takes a position without effect.
 * Any other throw halts the machine on that member. Must be deterministic, as all of a command.
 */
export class Rejection extends Error {
  override readonly name = "Rejection";
  readonly reason: string;
  readonly data: unknown;

  /**
   * @param reason - a short, stable word for the caller to match on
   * @param data - facts for the caller
   */
  constructor(reason: string, data?: unknown) {
    super(`the command was rejected: ${reason}`);
    this.reason = reason;
    this.data = data;
    Object.defineProperty(this, BRAND, { value: true, enumerable: false });
  }
}

/** Also true for a `Rejection` of another copy of the package, as a machine from a library may throw. */
export function isRejection(error: unknown): error is Rejection {
  return typeof error === "object" && error !== null && BRAND in error;
}
