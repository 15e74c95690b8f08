import { createServer } from "node:net";
import { join } from "node:path";
import { Net, type Place, PROXY_HOST } from "./net.ts";
import { NodeProcess } from "./node-process.ts";
import { MEMBERS, type View } from "./protocol.ts";

/** Below the ports that systems give to outgoing connections, so that none of ours is taken while its member is down. */
const PORTS = { from: 20_000, to: 32_000 } as const;

export interface ClusterOptions {
  /** Bundled `member.ts`. */
  readonly script: string;
  readonly folder: string;
  /** A folder for each member's data. */
  readonly dataFolders: readonly string[];
  readonly secret: string;
}

/** Five members, each a process, and the net between them. */
export class Cluster {
  readonly members: readonly NodeProcess[];
  readonly net: Net;

  private constructor(members: readonly NodeProcess[], net: Net) {
    this.members = members;
    this.net = net;
  }

  static async start({ script, folder, dataFolders, secret }: ClusterOptions): Promise<Cluster> {
    const places: Place[] = [];
    const servePorts: number[] = [];
    const ports = freePorts();
    for (let number = 0; number < MEMBERS; number++) {
      const host = hostOf(number);
      places.push({ host, port: await ports.next(host), proxyPort: await ports.next(PROXY_HOST) });
      servePorts.push(await ports.next(host));
    }
    const net = new Net(places);
    await net.listen();
    const proxies = places.map(({ proxyPort }) => `${PROXY_HOST}:${proxyPort}`);
    const members = places.map(({ host, port }, number) => {
      const init = {
        secret,
        listen: `${host}:${port}`,
        advertise: proxies[number] as string,
        bootstrap: proxies.filter((_, other) => other !== number),
        dataDir: dataFolders[number] as string,
        serve: { host, port: servePorts[number] as number },
      };
      return new NodeProcess(number, script, init, join(folder, `member-${number}.log`));
    });
    const cluster = new Cluster(members, net);
    await Promise.all(members.map((member) => member.start()));
    return cluster;
  }

  /** What all say of themselves, if all are up; those that are frozen are not asked. */
  async views(): Promise<readonly View[] | undefined> {
    if (this.members.some((member) => !member.isUp || member.isFrozen)) return undefined;
    try {
      return await Promise.all(this.members.map((member) => member.ask({ ask: "view" })));
    } catch {
      return undefined;
    }
  }

  /** All up, online, and voters in the eyes of each. */
  async isSettled(): Promise<boolean> {
    const views = await this.views();
    if (views === undefined) return false;
    const peers = views.map(({ peer }) => peer).sort();
    const isAsWanted = ({ state, voters }: View): boolean =>
      state === "online" && voters.length === peers.length && peers.every((peer) => voters.includes(peer));
    return views.every(isAsWanted);
  }

  /** Whoever is down comes back: also one that crashed, which was noted. */
  async startAll(): Promise<void> {
    await Promise.all(this.members.map((member) => member.start()));
  }

  /** False: not within that time, though whoever ends is started again. */
  async settled(withinMs: number): Promise<boolean> {
    const deadline = performance.now() + withinMs;
    await this.startAll();
    while (!(await this.isSettled())) {
      await this.startAll();
      if (performance.now() > deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    return true;
  }

  async end(): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
    this.net.close();
  }
}

export const hostOf = (number: number): string => `127.0.0.${10 + number}`;

function freePorts(): { next(host: string): Promise<number> } {
  let port = PORTS.from + (process.pid % (PORTS.to - PORTS.from));
  return {
    async next(host) {
      for (let tries = 0; tries < 1_000; tries++) {
        port = port + 1 < PORTS.to ? port + 1 : PORTS.from;
        if (await isFree(host, port)) return port;
      }
      throw new Error("no free port");
    },
  };
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}
