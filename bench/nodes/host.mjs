// A measured process: makes parts and calls their methods, as it is told over IPC. Ends with its parent.
const parts = [];

process.on("message", async ({ id, type, args }) => {
  try {
    answer({ id, result: await (type === "make" ? make(...args) : call(...args)) });
  } catch (error) {
    answer({ id, error: error?.stack ?? String(error) });
  }
});
// Through `exit`, so that a CPU profile is written.
process.on("disconnect", () => process.exit(0));

async function make(module, name, options) {
  const exported = await import(`./${module}.mjs`);
  const part = new exported[name](options);
  await part.start?.();
  return parts.push(part) - 1;
}

function call(part, method, args) {
  return parts[part][method](...args);
}

/** Whoever asked may be gone: then nobody waits for it. */
function answer(reply) {
  if (process.connected) process.send(reply, () => {});
}
