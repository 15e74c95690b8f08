const POOL_BYTES = 8 * 1024;
/** Longer ones have a buffer of their own: to allocate it is little beside them. Up to 64 bytes the engine has a way that is as good. */
const POOLED_BYTES_MAX = 1024;
const POOLED_BYTES_MIN = 65;
let pool = new Uint8Array(POOL_BYTES);
let used = 0;

/**
 * A copy of these bytes. Those of middling length share buffers of 8 KiB, as those of `Buffer.from` do: an own `ArrayBuffer` costs more than a
 * microsecond. So one that is kept for long may keep 8 KiB.
 */
export function copyOf(bytes: Uint8Array): Uint8Array {
  const { length } = bytes;
  if (length < POOLED_BYTES_MIN || length > POOLED_BYTES_MAX) return bytes.slice();
  if (length > POOL_BYTES - used) {
    pool = new Uint8Array(POOL_BYTES);
    used = 0;
  }
  const copy = new Uint8Array(pool.buffer, used, length);
  copy.set(bytes);
  // Typed arrays of wider elements may be laid over it.
  used += (length + 7) & ~7;
  return copy;
}

/** A call of the platform, and the view that it needs, cost more than a few bytes. */
const COPIED_ONE_BY_ONE_MAX = 48;

/** Bytes start..end, to this place of a larger buffer. */
export function copyBytes(source: Uint8Array, start: number, end: number, target: Uint8Array, at: number): void {
  if (end - start > COPIED_ONE_BY_ONE_MAX) target.set(source.subarray(start, end), at);
  else for (let from = start, to = at; from < end; from++, to++) target[to] = source[from] as number;
}
