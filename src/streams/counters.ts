/** Of all streams of a network; only grow. What was sent and dropped is of links that have ended: those that are open count by themselves. */
export interface StreamCounters {
  itemsSent: number;
  bytesSent: number;
  itemsReceived: number;
  bytesReceived: number;
  /** Values that a consumer wanted and whose queue had no room. */
  itemsDropped: number;
  /** Values that came and made no sense, or that a schema refused. */
  itemsInvalid: number;
  /** Consumers that were let in, and that were refused or put out. */
  consumersAccepted: number;
  consumersRejected: number;
}

export function newStreamCounters(): StreamCounters {
  return {
    itemsSent: 0,
    bytesSent: 0,
    itemsReceived: 0,
    bytesReceived: 0,
    itemsDropped: 0,
    itemsInvalid: 0,
    consumersAccepted: 0,
    consumersRejected: 0,
  };
}
