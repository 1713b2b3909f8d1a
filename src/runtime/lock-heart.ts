/**
 * Signs of life of the locks that this process holds: their files are written again now and then, with the same bytes, from a thread of its own,
 * so that a long computation on the main thread does not look like death. Written and not touched: the time of a file that is written
 * comes from the file server, the same clock for all machines.
 */
import { Worker } from "node:worker_threads";

/** Beats as long as the file is ours. A file that is not there (it was moved) is left alone; the next beat looks again. */
const BEATING = `
const { parentPort } = require("node:worker_threads");
const fs = require("node:fs");
const hearts = new Map();
function stop(path) {
  clearInterval(hearts.get(path));
  hearts.delete(path);
}
function beat({ path, text }) {
  let fd;
  try {
    fd = fs.openSync(path, "r+");
    if (fs.readFileSync(fd, "utf8") !== text) return stop(path);
    fs.writeSync(fd, text, 0);
    fs.fsyncSync(fd);
  } catch {
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}
parentPort.on("message", (heart) => {
  stop(heart.path);
  if (heart.text !== undefined) hearts.set(heart.path, setInterval(beat, heart.everyMs, heart));
});
`;

/** One for all locks of the process; an idle thread costs nothing but its 5 MB. */
let thread: Worker | undefined;

/** Begins to beat for the lock file at `path`, which holds `text`. Returns what ends it. */
export function startHeart(path: string, text: string, everyMs: number): () => void {
  thread ??= begin();
  thread.postMessage({ path, text, everyMs });
  return () => thread?.postMessage({ path });
}

function begin(): Worker {
  const worker = new Worker(BEATING, { eval: true, execArgv: [], env: {} });
  worker.unref();
  // A system without room for a thread: to other machines the locks look dead in time, and their holder notices when they are taken.
  worker.on("error", () => {
    thread = undefined;
  });
  return worker;
}
