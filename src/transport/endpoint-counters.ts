/** Distinct close codes that are counted apart: a peer may invent any number. */
const CODES_MAX = 64;
/** All the others. */
const OTHER_CODE = 0;

/** Plain numbers for metrics, which only grow. */
export interface EndpointCounters {
  linksOpened: number;
  linksClosed: number;
  /** Connections that never became links, by close code; 0 holds the codes beyond the first 64. */
  readonly refused: Map<number, number>;
  /** Links that ended, by close code. */
  readonly closed: Map<number, number>;
}

export function newEndpointCounters(): EndpointCounters {
  return { linksOpened: 0, linksClosed: 0, refused: new Map(), closed: new Map() };
}

export function countCode(counts: Map<number, number>, code: number): void {
  const key = counts.has(code) || counts.size < CODES_MAX ? code : OTHER_CODE;
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
