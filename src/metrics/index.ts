/**
 * Counters and gauges of one network, collected on call.
 *
 * Nothing is pushed and nothing runs in between: whoever counts keeps a plain number and registers a function that reads it. `text()`
 * reads all of them, in the format that Prometheus and most others take. Two networks in one process have two registries.
 */
export { METRICS } from "./names.ts";
export { type Labels, type Metric, MetricsRegistry } from "./registry.ts";
