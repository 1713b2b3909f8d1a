/**
 * Ends of an engine, each many times in this one process, which has nothing else that keeps it alive: an end that waits for something
 * unreferenced ends the process with code 13 and no word, and one in the middle of a native call with 134. Prints what each round ended with.
 * Run with: node engine-failures.mjs SCENARIO ROUNDS FILE, on the built code; FILE has at least 4,000 bytes.
 */
import { createOnnxEngine } from "../../dist/engine/onnx-engine.js";
import { startSessionThread } from "../../dist/engine/onnx/session-thread.js";
import { tf } from "../../dist/engine/tf.js";
import { together } from "../../dist/runtime/together.js";

const [scenario, rounds, file] = process.argv.slice(2);
const SIZE = 1000;
const spec = { shape: [SIZE], dtype: "float32" };
const program = {
  name: "sum",
  frozen: new Map([["w", spec]]),
  inputs: new Map([["x", spec]]),
  build: (tensors) => new Map([["y", tf.add(tensors.get("w"), tensors.get("x"))]]),
};
const start = () => createOnnxEngine({ provider: "cpu", threads: 1 });
const mapped = (path) => new Map([["w", { kind: "file", path, byteOffset: 0, byteLength: 4 * SIZE }]]);
const inputs = new Map([["x", new Float32Array(SIZE)]]);
const worker = new URL("../../dist/engine/onnx/session-worker.js", import.meta.url);
const bound = async (engine) => {
  const executable = await engine.compile(program);
  await executable.bind(mapped(file));
  return executable;
};
const bad = async (ms) => {
  await new Promise((resolve) => setTimeout(resolve, ms));
  throw new Error("an image does not decode");
};

/** Each gets an engine and the number of the round; the engine is closed whatever happens. */
const scenarios = {
  // As a session does it: the other work is waited for.
  together: (engine, round) => together([() => bound(engine), () => bad(10 * round)]),
  // As a stranger may do it: the engine is closed while it is compiled, bound or run.
  abandoned: (engine, round) => Promise.all([bound(engine).then((one) => one.run(inputs)), bad(10 * round)]),
  "closed at once": async () => {
    throw new Error("before the first call");
  },
  "file that cannot be mapped": async (engine) => (await engine.compile(program)).bind(mapped(`${file}.none`)),
  "file that is too short": async (engine) =>
    (await engine.compile(program)).bind(
      new Map([["w", { kind: "file", path: file, byteOffset: 2 ** 20, byteLength: 4 * SIZE }]]),
    ),
  "graph that is refused": async () => {
    const thread = startSessionThread(worker);
    const options = { provider: "cpu", threads: 1 };
    const load = thread.send({ kind: "load", session: 1, onnx: Uint8Array.of(1, 2, 3), options });
    await load.finally(() => thread.close());
  },
  "two engines, one fails": async (engine) => {
    const other = start();
    try {
      await together([() => bound(engine), () => bad(0).finally(() => other.close())]);
    } finally {
      await other.close();
    }
  },
  "closed under a run": async (engine) => {
    const executable = await bound(engine);
    const run = executable.run(inputs);
    const closing = [engine.close(), engine.close()];
    const { length } = (await run).get("y");
    await Promise.all(closing);
    const late = await executable.run(inputs).catch((error) => error.message);
    throw new Error(`the run gave ${length} values, a later one ${late}`);
  },
};

for (let round = 0; round < Number(rounds); round++) {
  const engine = start();
  try {
    await scenarios[scenario](engine, round);
    console.log("no error");
  } catch (error) {
    console.log(`${error.name}: ${error.message}`);
  } finally {
    await engine.close();
    await engine.close();
  }
}
