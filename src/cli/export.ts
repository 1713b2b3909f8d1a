/** `adamerge export`: a saved model in a form that other programs run: an ONNX file, or a classifier of transformers. */
import { ConfigError } from "../errors.js";
import { bytesText } from "../track/terminal.js";
import { EXIT_OK } from "./exit-codes.js";
import { printJson, workOptions } from "./io.js";
import { defineVerb, jsonOption, quietOption } from "./verb.js";

export const exportVerb = defineVerb({
  name: "export",
  group: "merge",
  usage: "<model>",
  describe: "Write a merged model as an ONNX file, or as a classifier of transformers",
  positionals: {
    model: {
      describe: "Folder of a merged model, or of the run that it is in; also of any model of a known family",
      type: "string",
      demandOption: true,
    },
  },
  options: {
    output: {
      describe:
        "New file, model.onnx for example; weights of more than 2 GB lie beside it. With --classifier a new folder",
      type: "string",
      demandOption: true,
      requiresArg: true,
      alias: "o",
    },
    classifier: {
      describe: "As a folder that transformers' pipeline runs: *ForImageClassification, *ForSequenceClassification",
      type: "boolean",
      default: false,
    },
    task: {
      describe: "With this head: logits and probabilities beside the features; of a classifier the only one",
      type: "string",
      requiresArg: true,
    },
    dtype: {
      describe: "How weights of an ONNX file are stored (default: float32); computed is float32",
      choices: ["float32", "float16"],
      requiresArg: true,
    },
    overwrite: { describe: "Replace an earlier result if it is there", type: "boolean", default: false },
    quiet: quietOption,
    json: jsonOption,
  },
  examples: [
    ["export merged --output features.onnx", "Features, for any number of images or texts"],
    ["export runs/mini8/default --task digits -o digits.onnx", "With the classes of one task"],
    ["export merged --classifier --task reviews -o reviews-classifier", "For transformers' pipeline, with one head"],
  ],
  async run({ model, output, classifier, task, dtype, overwrite, quiet, json }, io) {
    const work = workOptions(io, { quiet, overwrite });
    if (classifier) {
      if (dtype !== undefined)
        throw new ConfigError("--dtype: expected it for ONNX files alone, found --classifier; its weights are float32");
      const exported = await io.library.exportClassifier(model, { ...work, output, task });
      if (json) printJson(io, exported);
      else io.stdout.write(`${exported.folder}\n`);
      return EXIT_OK;
    }
    const { log } = work;
    const exported = await io.library.exportOnnx(model, {
      ...work,
      output,
      task,
      ...(dtype === undefined ? {} : { dtype }),
    });
    const { files, bytes, inputs, outputs } = exported;
    for (const [name, shape] of inputs) log(`input   ${name} [${shape.join(", ")}]`);
    for (const [name, shape] of outputs) log(`output  ${name} [${shape.join(", ")}]`);
    log(`wrote ${bytesText(bytes)}${files.length > 1 ? `, weights in ${files.slice(1).join(", ")}` : ""}`);
    if (json) printJson(io, exported);
    else io.stdout.write(`${files[0]}\n`);
    return EXIT_OK;
  },
});
