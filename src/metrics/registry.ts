import { assert } from "../env/index.ts";

/** What is measured. `counter`: only grows while the process lives. `gauge`: goes both ways. */
export interface Metric {
  /** Letters, digits and underscores, as Prometheus wants them, with the unit last. */
  readonly name: string;
  readonly kind: "counter" | "gauge";
  /** One sentence. */
  readonly help: string;
}

/** Which one of several: the network, the group. Values are any text; names as those of metrics, without two underscores at the start. */
export type Labels = Readonly<Record<string, string>>;

interface Family {
  readonly metric: Metric;
  /** By the text of their labels. */
  readonly series: Map<string, () => number>;
}

/**
 * The counters and gauges of one network. Hot paths add to plain numbers of their own; a `collect` function reads them when somebody asks.
 */
export class MetricsRegistry {
  readonly #common: Labels;
  readonly #families = new Map<string, Family>();
  /** Calls of `text()` so far. */
  #collections = 0;

  /** @param common - labels of every series, such as the network */
  constructor(common: Labels = {}) {
    this.#common = checkedLabels(common);
  }

  /**
   * Adds one series. Several may share a metric, if their labels differ.
   *
   * @param collect - reads the number, at every `text()`; cheap, and never throws
   * @returns removes it; idempotent
   */
  register(metric: Metric, collect: () => number, labels: Labels = {}): () => void {
    const key = labelText({ ...this.#common, ...checkedLabels(labels) });
    const family = this.#familyOf(metric);
    assert(!family.series.has(key), `metric ${metric.name} has one series for each set of labels`);
    family.series.set(key, collect);
    return () => {
      if (family.series.get(key) === collect) family.series.delete(key);
      if (family.series.size === 0 && this.#families.get(metric.name) === family) this.#families.delete(metric.name);
    };
  }

  /**
   * Adds series that are read together: once at every `text()`, however many they are.
   *
   * @param collect - as in `register`
   */
  registerTogether<Figures>(
    collect: () => Figures,
    series: readonly (readonly [metric: Metric, of: (figures: Figures) => number])[],
  ): void {
    let last: { readonly collection: number; readonly figures: Figures } | undefined;
    const current = (): Figures => {
      if (last?.collection !== this.#collections) last = { collection: this.#collections, figures: collect() };
      return last.figures;
    };
    for (const [metric, of] of series) this.register(metric, () => of(current()));
  }

  /** All series in Prometheus' text format (version 0.0.4), by name and labels. */
  text(): string {
    this.#collections++;
    const families = [...this.#families.values()].sort((a, b) => compare(a.metric.name, b.metric.name));
    return families.map(familyText).join("");
  }

  #familyOf(metric: Metric): Family {
    assert(/^[a-z][a-z0-9_]*$/.test(metric.name), `metric name ${JSON.stringify(metric.name)} is not lower-case words`);
    const known = this.#families.get(metric.name);
    if (known === undefined) {
      const family: Family = { metric, series: new Map() };
      this.#families.set(metric.name, family);
      return family;
    }
    const isSame = known.metric.kind === metric.kind && known.metric.help === metric.help;
    assert(isSame, `metric ${metric.name} is one thing`);
    return known;
  }
}

function checkedLabels(labels: Labels): Labels {
  for (const name of Object.keys(labels)) {
    assert(/^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/.test(name), `label name ${JSON.stringify(name)} is a word`);
  }
  return labels;
}

function familyText({ metric, series }: Family): string {
  const lines = [`# HELP ${metric.name} ${escapeHelp(metric.help)}`, `# TYPE ${metric.name} ${metric.kind}`];
  for (const [labels, collect] of [...series].sort(([a], [b]) => compare(a, b))) {
    lines.push(`${metric.name}${labels} ${numberText(collect())}`);
  }
  return `${lines.join("\n")}\n`;
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).sort(([a], [b]) => compare(a, b));
  if (pairs.length === 0) return "";
  return `{${pairs.map(([name, value]) => `${name}="${escapeValue(value)}"`).join(",")}}`;
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeValue(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return String(value);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
