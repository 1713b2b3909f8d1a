/** `npm run compare -- <target>`: our results beside those of software that people use today, on the same inputs. Each target is a command of its own. */
import yargs from "yargs";
import { adapterCommand } from "./adapter.js";
import { cardsCommand } from "./cards.js";
import { classifiersCommand } from "./classifiers.js";
import { clipCommand } from "./clip.js";
import { extractLoraCommand } from "./extract-lora.js";
import { fineTuneCommand } from "./fine-tune.js";
import { fusionbenchCommand } from "./fusionbench.js";
import { imageEncoderCommand } from "./image-encoder.js";
import { onnxCommand } from "./onnx.js";
import { predictionsCommand } from "./predictions.js";
import { preprocessingCommand } from "./preprocessing.js";
import { savedModelsCommand } from "./saved-models.js";
import { textEncoderCommand } from "./text-encoder.js";
import { textFitCommand } from "./text-fit.js";
import { textSuiteCommand } from "./text-suite.js";
import { tokenizersCommand } from "./tokenizers.js";
import { trainerCommand } from "./trainer.js";

await yargs(process.argv.slice(2))
  .scriptName("npm run compare --")
  .usage(
    "$0 <target> --python PYTHON [options]\n\nRuns adamerge and another program on the same inputs and says how far their results lie apart.",
  )
  .command(adapterCommand)
  .command(cardsCommand)
  .command(classifiersCommand)
  .command(clipCommand)
  .command(extractLoraCommand)
  .command(fineTuneCommand)
  .command(fusionbenchCommand)
  .command(imageEncoderCommand)
  .command(onnxCommand)
  .command(predictionsCommand)
  .command(preprocessingCommand)
  .command(savedModelsCommand)
  .command(textEncoderCommand)
  .command(textFitCommand)
  .command(textSuiteCommand)
  .command(tokenizersCommand)
  .command(trainerCommand)
  .demandCommand(1, "Name what to compare with.")
  .strict()
  .help()
  .parseAsync();
