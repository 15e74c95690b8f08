// A nightly job that runs on one node at a time: whoever leads runs it, and stops at once when somebody else does.
//
//   node --import tsx examples/cron-leader.ts
//
// Alone it is the whole group. For three, start three with CRON_EXPECT=3, one MOSAIK_SECRET, and MOSAIK_BOOTSTRAP=host:port of one that is up.
import { Network } from "mosaik";

const network = await Network.create("billing", {
  secret: process.env["MOSAIK_SECRET"],
  bootstrap: process.env["MOSAIK_BOOTSTRAP"],
});
process.once("SIGTERM", () => void network.close());

const cron = network.groups.join("nightly-invoices", { expect: Number(process.env["CRON_EXPECT"] ?? 1) });
const everyMs = Number(process.env["CRON_EVERY_MS"] ?? 1_000);

await cron.whileLeader(async ({ term, signal }) => {
  while (!signal.aborted) {
    // Whatever the job writes to should refuse terms lower than the last it saw: then a leader that was cut off does no harm.
    console.log(`invoices, in term ${term}`);
    await network.clock.sleep(everyMs, { signal });
  }
}); // ends when the network closes
