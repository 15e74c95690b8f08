import { stepsFrom } from "./formation.ts";
import { initialState, keyOf, type Setting, type State, type Violation } from "./state.ts";

export interface Exploration {
  readonly states: number;
  readonly steps: number;
  /** States in which a command was acknowledged: the model does something. */
  readonly acknowledged: number;
  /** The first, nearest to the beginning. */
  readonly violation: { readonly kind: Violation; readonly trace: readonly string[] } | undefined;
  /** How to come to a state from which no command can ever be acknowledged, whatever happens. */
  readonly stuck: readonly string[] | undefined;
}

interface Known {
  readonly number: number;
  readonly from: Known | undefined;
  readonly action: string;
}

/** Breadth first, over all states that there are. Ends at the first violation of a kind that is looked for. */
export function explore(setting: Setting, lookFor: readonly Violation[], statesMax = 1_000_000): Exploration {
  const start = initialState(setting);
  const all: Known[] = [{ number: 0, from: undefined, action: "" }];
  const known = new Map<string, Known>([[keyOf(start), all[0] as Known]]);
  const graph = new Graph();
  let frontier: { readonly state: State; readonly at: Known }[] = [{ state: start, at: all[0] as Known }];
  const report = (rest: Pick<Exploration, "violation" | "stuck">): Exploration => {
    return { states: all.length, steps: graph.size, acknowledged: graph.acknowledged, ...rest };
  };
  while (frontier.length > 0) {
    const next: typeof frontier = [];
    for (const { state, at } of frontier) {
      const steps = stepsFrom(state, setting);
      if (steps.isCut) graph.hope(at.number);
      for (const { action, state: reached, violation } of steps) {
        if (violation !== undefined && lookFor.includes(violation)) {
          return report({ violation: { kind: violation, trace: [...traceTo(at), action] }, stuck: undefined });
        }
        const key = keyOf(reached);
        const seen = known.get(key);
        const to = seen ?? { number: all.length, from: at, action };
        graph.add(at.number, to.number);
        if (seen !== undefined) continue;
        known.set(key, to);
        all.push(to);
        if (reached.incarnations.some((one) => one.acknowledged !== "")) graph.acknowledge(to.number);
        next.push({ state: reached, at: to });
      }
    }
    frontier = next;
    if (all.length > statesMax) throw new Error(`more than ${statesMax} states`);
  }
  const stuck = graph.firstHopeless(all.length);
  return report({ violation: undefined, stuck: stuck === undefined ? undefined : traceTo(all[stuck] as Known) });
}

/** From which states is there a way on? */
class Graph {
  readonly #from: number[] = [];
  readonly #to: number[] = [];
  readonly #hopeful: number[] = [];
  acknowledged = 0;

  get size(): number {
    return this.#from.length;
  }

  add(from: number, to: number): void {
    this.#from.push(from);
    this.#to.push(to);
  }

  /** What comes after this state is not known: it counts as good. */
  hope(state: number): void {
    this.#hopeful.push(state);
  }

  acknowledge(state: number): void {
    this.acknowledged++;
    this.#hopeful.push(state);
  }

  /** The lowest number from which no hopeful state can be reached. */
  firstHopeless(states: number): number | undefined {
    const { starts, sources } = this.#reversed(states);
    const isHopeful = new Uint8Array(states);
    const stack: number[] = [];
    const mark = (state: number): void => {
      if (isHopeful[state] === 1) return;
      isHopeful[state] = 1;
      stack.push(state);
    };
    for (const state of this.#hopeful) mark(state);
    for (let state = stack.pop(); state !== undefined; state = stack.pop()) {
      const end = starts[state + 1] as number;
      for (let at = starts[state] as number; at < end; at++) mark(sources[at] as number);
    }
    const first = isHopeful.indexOf(0);
    return first < 0 ? undefined : first;
  }

  /** By target: where its sources begin, and the sources. */
  #reversed(states: number): { readonly starts: Uint32Array; readonly sources: Uint32Array } {
    const starts = new Uint32Array(states + 2);
    for (const to of this.#to) starts[to + 2] = (starts[to + 2] as number) + 1;
    for (let state = 2; state < starts.length; state++) {
      starts[state] = (starts[state] as number) + (starts[state - 1] as number);
    }
    const sources = new Uint32Array(this.#from.length);
    this.#to.forEach((to, edge) => {
      const place = starts[to + 1] as number;
      starts[to + 1] = place + 1;
      sources[place] = this.#from[edge] as number;
    });
    return { starts, sources };
  }
}

function traceTo(state: Known): string[] {
  const trace: string[] = [];
  for (let at: Known | undefined = state; at?.from !== undefined; at = at.from) trace.push(at.action);
  return trace.reverse();
}
