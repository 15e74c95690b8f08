import type { WriteStream } from "node:tty";
import { type Board, type BoardEvent, type Outcome, type Row, SLICE_MS } from "./board.ts";
import { drawBoard } from "./dashboard.ts";

/** What the audience gets to see: JSON lines, plain lines, or a view that is drawn anew in place. */
export interface Show {
  /** Something that people want to know of. `fields` is the same for programs. */
  say(text: string, fields: object, tone?: BoardEvent["tone"]): void;
  /** How a process is doing. */
  set(name: string, change: Partial<Omit<Row, "name">>): void;
  acknowledged(name: string, numbers: number): void;
  conclude(outcome: Outcome): void;
  /** The terminal is as it was. Idempotent. */
  end(): void;
}

/** For programs, for pipes, and for terminals that can do no more. */
export function lineShow(isJson: boolean): Show {
  return {
    say: (text, fields) => console.log(isJson ? JSON.stringify(fields) : text),
    set: () => {},
    acknowledged: () => {},
    conclude: () => {},
    end: () => {},
  };
}

/** As much of a terminal as is used here. */
export type Terminal = Pick<WriteStream, "columns" | "rows" | "write" | "on" | "off">;

const DRAW_EVERY_MS = 50;
const HIDE_CURSOR = "\x1b[?25l";
const SHOW_CURSOR = "\x1b[?25h";
const CLEAR_LINE_END = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";
const CLEAR_ALL = "\x1b[2J\x1b[H";

/** For people at a terminal. It keeps its place on the screen, and the last picture stays. */
export class LiveShow implements Show {
  readonly #terminal: Terminal;
  readonly #hasColor: boolean;
  readonly #startedMs = performance.now();
  readonly #rows = new Map<string, Row>();
  readonly #slices: number[] = [];
  readonly #events: BoardEvent[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #onResize = (): void => {
    // Lines that were broken anew are not where we left them.
    this.#terminal.write(CLEAR_ALL);
    this.#drawnLines = 0;
    this.#draw();
  };
  #outcome: Outcome | undefined;
  #drawnLines = 0;
  #isEnded = false;

  constructor(terminal: Terminal, hasColor: boolean) {
    this.#terminal = terminal;
    this.#hasColor = hasColor;
    terminal.write(HIDE_CURSOR);
    terminal.on("resize", this.#onResize);
    this.#timer = setInterval(() => this.#draw(), DRAW_EVERY_MS);
  }

  say(text: string, _fields: object, tone: BoardEvent["tone"] = "plain"): void {
    this.#events.push({ atMs: this.#elapsedMs(), text, tone });
  }

  set(name: string, change: Partial<Omit<Row, "name">>): void {
    const row = this.#rows.get(name) ?? { name, state: "starting", view: undefined, acknowledged: 0 };
    this.#rows.set(name, { ...row, ...change });
  }

  acknowledged(name: string, numbers: number): void {
    this.set(name, { acknowledged: (this.#rows.get(name)?.acknowledged ?? 0) + numbers });
    const slice = this.#fillSlices();
    this.#slices[slice] = (this.#slices[slice] ?? 0) + numbers;
  }

  conclude(outcome: Outcome): void {
    this.#outcome = outcome;
  }

  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    clearInterval(this.#timer);
    this.#draw();
    this.#terminal.off("resize", this.#onResize);
    this.#terminal.write(SHOW_CURSOR);
  }

  #board(): Board {
    this.#fillSlices();
    return {
      elapsedMs: this.#elapsedMs(),
      rows: [...this.#rows.values()],
      slices: this.#slices,
      events: this.#events,
      outcome: this.#outcome,
    };
  }

  /** One write for each picture, so that nobody sees half of one. */
  #draw(): void {
    // Some terminals say that they have no size at all.
    const columns = this.#terminal.columns || 80;
    const rows = this.#terminal.rows || 24;
    const lines = drawBoard(this.#board(), { columns, rows, hasColor: this.#hasColor });
    const up = this.#drawnLines > 0 ? `\x1b[${this.#drawnLines}A\r` : "";
    this.#terminal.write(`${up}${lines.map((line) => `${line}${CLEAR_LINE_END}\n`).join("")}${CLEAR_BELOW}`);
    this.#drawnLines = lines.length;
  }

  /** Slices in which nothing was acknowledged count, too. Gives the present one. */
  #fillSlices(): number {
    const slice = Math.floor(this.#elapsedMs() / SLICE_MS);
    while (this.#slices.length <= slice) this.#slices.push(0);
    return slice;
  }

  #elapsedMs(): number {
    return performance.now() - this.#startedMs;
  }
}
