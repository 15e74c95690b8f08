import type { Faults } from "./background.ts";
import type { StoryScenario } from "./simulate.ts";

export interface Story {
  readonly name: string;
  readonly scenario: StoryScenario;
  readonly faults: Faults;
}

const told = new Map<string, Story>();

/**
 * Tells a story: a cast, a fault, what is expected, for what is known to be delicate. `test/stories` has them; their test runs each under
 * several seeds, and `npm run sim -- --story NAME` under any.
 */
export function story(name: string, scenario: StoryScenario, options: { readonly faults?: Faults } = {}): void {
  if (told.has(name)) throw new Error(`there are two stories "${name}"`);
  told.set(name, { name, scenario, faults: options.faults ?? {} });
}

/** All that were told so far, in this order. */
export function stories(): readonly Story[] {
  return [...told.values()];
}
