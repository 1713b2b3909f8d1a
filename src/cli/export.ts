/** `adamerge export`: a saved model as an ONNX file, to be served by other programs. */
import { bytesText } from "../track/byte-progress.js";
import { EXIT_OK } from "./exit-codes.js";
import { workOptions } from "./io.js";
import { defineVerb, quietOption } from "./verb.js";

export const exportVerb = defineVerb({
  name: "export",
  usage: "<model>",
  describe: "Write a merged model as an ONNX file",
  positionals: {
    model: {
      describe: "Folder of a merged model, or of the run that it is in; also of any model of a known family",
      type: "string",
      demandOption: true,
    },
  },
  options: {
    output: {
      describe: "New file, model.onnx for example; weights of more than 2 GB lie beside it",
      type: "string",
      demandOption: true,
      requiresArg: true,
      alias: "o",
    },
    task: {
      describe: "With this head: logits and probabilities beside the features",
      type: "string",
      requiresArg: true,
    },
    dtype: {
      describe: "How weights are stored; computed is float32",
      choices: ["float32", "float16"],
      default: "float32",
      requiresArg: true,
    },
    overwrite: { describe: "Replace the file if it is there", type: "boolean", default: false },
    quiet: quietOption,
  },
  examples: [
    ["export merged --output features.onnx", "Features, for any number of images or texts"],
    ["export runs/mini8/default --task digits -o digits.onnx", "With the classes of one task"],
  ],
  async run({ model, output, task, dtype, overwrite, quiet }, io) {
    const work = workOptions(io, { quiet, overwrite });
    const { log } = work;
    const exported = await io.library.exportOnnx(model, { ...work, output, task, dtype });
    const { files, bytes, inputs, outputs } = exported;
    for (const [name, shape] of inputs) log(`input   ${name} [${shape.join(", ")}]`);
    for (const [name, shape] of outputs) log(`output  ${name} [${shape.join(", ")}]`);
    log(`wrote ${bytesText(bytes)}${files.length > 1 ? `, weights in ${files.slice(1).join(", ")}` : ""}`);
    io.stdout.write(`${files[0]}\n`);
    return EXIT_OK;
  },
});
