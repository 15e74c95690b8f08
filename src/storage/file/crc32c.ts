/** Castagnoli's polynomial, reflected (RFC 3720, appendix B.4). */
const POLYNOMIAL = 0x82f63b78;
/** Bytes for which one step looks up tables ("slicing by 8"). */
const SLICE = 8;
const TABLES = makeTables();

/** `TABLES[k * 256 + b]`: what byte `b` does to the checksum when `k` bytes follow it. */
function makeTables(): Int32Array {
  const tables = new Int32Array(SLICE * 256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
    tables[byte] = value;
  }
  for (let at = 256; at < tables.length; at++) {
    const shorter = tables[at - 256] ?? 0;
    tables[at] = (shorter >>> 8) ^ (tables[shorter & 255] ?? 0);
  }
  return tables;
}

/**
 * CRC-32C of bytes[from, to). `seed` is the checksum of what comes before, so that one can go on; or any number that is meant to be
 * part of what is summed.
 */
export function crc32c(bytes: Uint8Array, from = 0, to = bytes.length, seed = 0): number {
  const t = TABLES;
  let crc = ~seed;
  let at = from;
  // The casts hold by the loop's bound; a check for each byte would cost more than the sum.
  for (const end = to - SLICE; at <= end; at += SLICE) {
    const low =
      crc ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24));
    crc =
      (t[1792 + (low & 255)] as number) ^
      (t[1536 + ((low >>> 8) & 255)] as number) ^
      (t[1280 + ((low >>> 16) & 255)] as number) ^
      (t[1024 + (low >>> 24)] as number) ^
      (t[768 + (bytes[at + 4] as number)] as number) ^
      (t[512 + (bytes[at + 5] as number)] as number) ^
      (t[256 + (bytes[at + 6] as number)] as number) ^
      (t[bytes[at + 7] as number] as number);
  }
  for (; at < to; at++) crc = (t[(crc ^ (bytes[at] as number)) & 255] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}
