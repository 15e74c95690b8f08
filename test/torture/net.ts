import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** A member, as the net knows it: by its number. */
export interface Place {
  /** Its own loopback address: it listens there, and its connections come from there. */
  readonly host: string;
  readonly port: number;
  /** Where others believe it to be. */
  readonly proxyPort: number;
}

/** Who cannot send to whom. */
export type Cut = readonly [from: number, to: number];
/** What becomes of connections that were cut: their bytes come late, or they are gone. */
export type Healing = "flow" | "reset";

/**
 * The net between members, in user space: who connects to a member comes here. A cut holds bytes in one direction, as TCP does: nothing
 * inside a connection is lost or reordered, nobody is told, and no new connection comes about.
 */
export class Net {
  readonly #places: readonly Place[];
  readonly #servers: Server[] = [];
  readonly #tubes = new Set<Tube>();
  readonly #cuts = new Map<string, number>();

  constructor(places: readonly Place[]) {
    this.#places = places;
  }

  async listen(): Promise<void> {
    for (const [to, { proxyPort }] of this.#places.entries()) {
      const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (near) => this.#accept(near, to));
      this.#servers.push(server);
      server.listen(proxyPort, PROXY_HOST);
      await once(server, "listening");
    }
  }

  /** Connections between members now. */
  get size(): number {
    return this.#tubes.size;
  }

  isCut(from: number, to: number): boolean {
    return (this.#cuts.get(`${from}>${to}`) ?? 0) > 0;
  }

  /** Cuts add up: a direction is open again when each cut of it was healed. */
  cut(cuts: readonly Cut[]): void {
    this.#change(cuts, 1);
  }

  heal(cuts: readonly Cut[], healing: Healing): void {
    this.#change(cuts, -1);
    if (healing === "flow") return;
    const healed = new Set(cuts.map(([from, to]) => `${from}>${to}`));
    for (const tube of [...this.#tubes])
      if (healed.has(`${tube.from}>${tube.to}`) || healed.has(`${tube.to}>${tube.from}`)) tube.reset();
  }

  /** Ends all connections of a member, at once. How many there were. */
  reset(member: number): number {
    const tubes = [...this.#tubes].filter(({ from, to }) => from === member || to === member);
    for (const tube of tubes) tube.reset();
    return tubes.length;
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const tube of [...this.#tubes]) tube.reset();
  }

  #change(cuts: readonly Cut[], by: number): void {
    for (const [from, to] of cuts) this.#cuts.set(`${from}>${to}`, (this.#cuts.get(`${from}>${to}`) ?? 0) + by);
    for (const tube of [...this.#tubes]) tube.update();
  }

  #accept(near: Socket, to: number): void {
    const from = this.#places.findIndex(({ host }) => host === near.remoteAddress);
    const target = this.#places[to];
    if (from < 0 || target === undefined) {
      near.destroy();
      return;
    }
    const tube = new Tube(near, { from, to, target, net: this }, () => this.#tubes.delete(tube));
    this.#tubes.add(tube);
    tube.update();
  }
}

/** All members' proxies are here, at ports of their own. */
export const PROXY_HOST = "127.0.0.1";

interface Ends {
  readonly from: number;
  readonly to: number;
  readonly target: Place;
  readonly net: Net;
}

/** One connection, `from` having dialled `to`. */
class Tube {
  readonly from: number;
  readonly to: number;
  readonly #ends: Ends;
  readonly #near: Socket;
  #far: Socket | undefined;
  #there: Flow | undefined;
  #back: Flow | undefined;
  readonly #onEnd: () => void;

  constructor(near: Socket, ends: Ends, onEnd: () => void) {
    this.from = ends.from;
    this.to = ends.to;
    this.#ends = ends;
    this.#near = near;
    this.#onEnd = onEnd;
    near.on("error", () => {});
    // A dialler that gave up before the net let it through.
    near.once("close", () => this.#far === undefined && this.reset());
  }

  /** A cut began or ended. */
  update(): void {
    const { from, to, net } = this.#ends;
    const isThereOpen = !net.isCut(from, to);
    if (this.#far === undefined && isThereOpen) this.#open();
    this.#there?.allow(isThereOpen);
    this.#back?.allow(!net.isCut(to, from));
  }

  reset(): void {
    this.#near.resetAndDestroy();
    this.#far?.resetAndDestroy();
    this.#onEnd();
  }

  #open(): void {
    const near = this.#near;
    const { host, port } = this.#ends.target;
    const far = connect({ host, port, allowHalfOpen: true });
    this.#far = far;
    near.setNoDelay(true);
    far.setNoDelay(true);
    far.on("error", () => {});
    this.#there = new Flow(near, far);
    this.#back = new Flow(far, near);
    const isOver = (): void => {
      if (near.destroyed && far.destroyed) this.#onEnd();
    };
    near.once("close", isOver);
    far.once("close", isOver);
  }
}

/** Bytes from one socket to another, and at last its end; nothing while it is not allowed. */
class Flow {
  readonly #source: Socket;
  readonly #sink: Socket;
  #isAllowed = true;
  #isFull = false;
  #isOver = false;

  constructor(source: Socket, sink: Socket) {
    this.#source = source;
    this.#sink = sink;
    source.on("data", (bytes) => {
      this.#isFull = !sink.write(bytes);
      this.#update();
    });
    sink.on("drain", () => {
      this.#isFull = false;
      this.#update();
    });
    source.on("end", () => sink.end());
    // A source that broke, whether or not all of it was read. A cut keeps that from the other side too.
    source.once("close", () => {
      this.#isOver = true;
      this.#update();
    });
    this.#update();
  }

  allow(isAllowed: boolean): void {
    this.#isAllowed = isAllowed;
    this.#update();
  }

  #update(): void {
    if (!this.#isAllowed || this.#isFull) this.#source.pause();
    else this.#source.resume();
    if (this.#isOver && this.#isAllowed) this.#sink.destroySoon();
  }
}
