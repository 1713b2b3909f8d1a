/** BERT, RoBERTa and DistilBERT as families: the files of a folder to a model and the encoder of its texts. What tells them apart is in text-families.ts. */
import { join } from "node:path";
import { z } from "zod";
import { MAX_CONFIG_BYTES } from "../../checkpoint/checkpoint.js";
import { parseConfig } from "../../checkpoint/config-text.js";
import { CheckpointError } from "../../errors.js";
import { readTextIfThere } from "../../runtime/regular-file.js";
import type { FeatureChoice, ModelFamily } from "../family.js";
import { longestText } from "./config.js";
import { openEncoder } from "./open-encoder.js";
import { textPython } from "./python.js";
import { readSentenceFeatures, sentenceLimit } from "./sentence-modules.js";
import { bert, distilbert, roberta, type TextFamily, textModelOf } from "./text-families.js";

/** Of a model that says nothing. */
const USUAL: FeatureChoice = { pooling: "cls", normalized: false };
const CONFIG = "config.json";
const TOKENIZER_CONFIG = "tokenizer_config.json";

export const bertFamily: ModelFamily = modelFamily(bert);
export const robertaFamily: ModelFamily = modelFamily(roberta);
export const distilbertFamily: ModelFamily = modelFamily(distilbert);

function modelFamily(family: TextFamily): ModelFamily {
  const { name, title, modelTypes, poolings, classifiers, parse } = family;
  return {
    name,
    title,
    kind: "text",
    modelTypes,
    // The pooler is a part of the names here, whether a model reads it or not.
    layout: family.layout(poolings.includes("pooler")),
    poolings,
    classifiers,
    // The scale of sentence-transformers' losses; what helps as a prompt depends on the texts.
    texts: { prompt: "{}", logitScale: 20 },
    // The upper end of Devlin et al. 2019, appendix A.3; of LoRA that of Hu et al. 2022, table 9, for the base size.
    fineTuning: { learningRate: 5e-5, loraLearningRate: 5e-4 },
    open: async ({ config: json, folder }, asked) => {
      const where = join(folder, CONFIG);
      const config = parse(json, where);
      const own = asked === undefined ? await readSentenceFeatures(folder) : undefined;
      // Where texts are cut does not depend on what of the output is read: a folder is cut alike by all who open it.
      const limits = [longestText(config), await sentenceLimit(folder), await tokenizerLimit(folder)];
      const longest = Math.min(...limits.filter((limit) => limit !== undefined));
      const model = textModelOf(family, config, asked ?? own ?? USUAL, where, longest);
      const { vocabularySize } = config;
      return { model, encoder: await openEncoder({ folder, vocabularySize, longest, model }) };
    },
    python: (request) => textPython(request, poolings.includes("pooler")),
    tensors: (json, where) => textModelOf(family, parse(json, where), classifiers[0]?.features ?? USUAL, where).tensors,
  };
}

/** Files without a limit have a number of thirty digits. */
const limitSchema = z.object({ model_max_length: z.number().min(2).nullish() });

/** Where the tokenizer cuts texts, as its own config says. */
async function tokenizerLimit(folder: string): Promise<number | undefined> {
  const file = join(folder, TOKENIZER_CONFIG);
  const text = await readTextIfThere(file, "the settings of a tokenizer", MAX_CONFIG_BYTES);
  if (text === undefined) return undefined;
  const result = limitSchema.safeParse(parseConfig(text, file));
  if (!result.success)
    throw new CheckpointError(
      `${file}: model_max_length: expected the most tokens of a text, at least 2, found something else`,
    );
  return Math.floor(result.data.model_max_length ?? Number.POSITIVE_INFINITY);
}
