import { createHash } from "node:crypto";
import { defineMachine } from "../../src/index.ts";

interface Tables {
  readonly registers: Record<string, number>;
  readonly lists: Record<string, number[]>;
}

/** What the torture replicates: registers, lists, and filling for the log, of which nothing is kept. */
export const TortureMachine = defineMachine("torture", {
  state: (): Tables => ({ registers: {}, lists: {} }),
  commands: {
    write: ({ registers }, { key, value }: { key: string; value: number }) => {
      registers[key] = value;
      return null;
    },
    cas: ({ registers }, input: { key: string; expected: number | null; new: number }) => {
      if ((registers[input.key] ?? null) !== input.expected) return false;
      registers[input.key] = input.new;
      return true;
    },
    append: ({ lists }, { key, element }: { key: string; element: number }) => {
      const list = lists[key];
      if (list === undefined) lists[key] = [element];
      else list.push(element);
      return null;
    },
    pad: (_, _filling: string) => null,
  },
  queries: {
    register: ({ registers }, key: string) => registers[key] ?? null,
    list: ({ lists }, key: string) => [...(lists[key] ?? [])],
    digest: (tables) => digestOf(tables),
  },
});

/** Equal for equal tables, whatever the order of their keys. */
export function digestOf({ registers, lists }: Tables): string {
  const hash = createHash("sha256");
  for (const table of [registers, lists]) {
    for (const key of Object.keys(table).sort()) hash.update(`${JSON.stringify([key, table[key]])}\n`);
    hash.update("--\n");
  }
  return hash.digest("hex");
}
