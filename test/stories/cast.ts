import { defineMachine } from "../../src/index.ts";

/** The machine of most stories: adds up, and remembers in which order. */
export const Counter = defineMachine("counter", {
  state: (): { value: number; history: number[] } => ({ value: 0, history: [] }),
  commands: {
    add: (counter, by: number) => {
      counter.history.push(by);
      counter.value += by;
      return counter.value;
    },
  },
  queries: {
    value: (counter) => counter.value,
    history: (counter) => [...counter.history],
  },
});
