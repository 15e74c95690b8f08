// Loaded before a command: `npm run sim | head` ends when nobody reads on, without an error.
process.stdout.on("error", (error) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(process.exitCode ?? 0);
});
