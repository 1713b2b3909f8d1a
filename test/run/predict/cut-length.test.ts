/**
 * Where texts are cut: the base's sentence_bert_config.json says it, whatever of the model is read, and all that a merged
 * model leaves or does cuts there too: its fit, card, predictions, ONNX file and classifier. `max_length` may say less.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { loadRunConfig } from "../../../src/config/load.js";
import { exportClassifier } from "../../../src/library/export-classifier.js";
import { exportOnnx } from "../../../src/library/export-onnx.js";
import { finetune } from "../../../src/library/finetune.js";
import { mergeToDirectory } from "../../../src/run/coefficients/merge-to-directory.js";
import { evaluateMethod } from "../../../src/run/judge/evaluate-method.js";
import { openPredictor } from "../../../src/run/predict/predict.js";
import { ROOT, temporaryFolder } from "../../support/cli.js";
import { coefficientsOf } from "../../support/tiny-image-suite.js";
import { TEXT_TASKS, writeTextSuite } from "../../support/tiny-text-suite.js";

/** Less than the model has positions for. */
const LIMIT = 5;
const LONG = "a b c d e f g h i j k l";
const TASK = "thirds";
let root = "";

beforeAll(async () => {
  root = await temporaryFolder();
  await writeTextSuite(root);
  await writeFile(join(root, "models", "base", "sentence_bert_config.json"), `{"max_seq_length": ${LIMIT}}`);
  await writeFile(join(root, "long.csv"), `text,label\n${LONG},x\n${LONG} z,y\nz ${LONG},x\nz z ${LONG},y\n`);
}, 60_000);

const work = (log: (line: string) => void) => ({
  ...{ cacheDir: join(root, "cache"), signal: new AbortController().signal, log },
});

/** What a saved folder says and does. */
async function cutsOf(folder: string, name: string): Promise<unknown> {
  const said: string[] = [];
  const notice = (text: string) => said.push(text);
  const predictor = await openPredictor(folder, { tasks: [TASK], device: "cpu", threads: 1, notice });
  for await (const _ of predictor.predict({ texts: [LONG] }));
  await predictor.close();
  const to = (file: string) => join(root, `${name}-${file}`);
  const onnx = await exportOnnx(folder, { output: to("model.onnx"), task: TASK, cwd: root });
  const classifier = await exportClassifier(folder, { output: to("classifier"), task: TASK, cwd: root });
  const tokenizer = await readFile(join(classifier.folder, "tokenizer_config.json"), "utf8");
  return {
    card: /max_length=(\d+)/.exec(await readFile(join(folder, "README.md"), "utf8"))?.[1],
    predicted: said.flatMap((text) => /cut after (\d+) tokens/.exec(text)?.[1] ?? []),
    onnx: onnx.metadata.get("max_length"),
    classifier: String(JSON.parse(tokenizer).model_max_length),
  };
}

const all = (length: number) => ({
  ...{ card: String(length), predicted: [String(length)], onnx: String(length), classifier: String(length) },
});

it.each([
  ["the base's files say", "", LIMIT],
  ["a lower max_length says", "max_length: 4\n", 4],
  ["the base's files say, also under a higher max_length", "max_length: 9\n", LIMIT],
])("a merge is cut where %s", async (name, line, length) => {
  const suite = join(root, "suite.yaml");
  const before = await readFile(suite, "utf8");
  await writeFile(suite, line + before);
  try {
    const path = join(root, "coefficients.json");
    await writeFile(path, coefficientsOf(Object.keys(TEXT_TASKS)));
    const { config } = await loadRunConfig(join(root, "config.yaml"), ["granularity=task-wise"], {
      ...{ presetsDir: join(ROOT, "configs", "presets"), cwd: root },
    });
    const folder = join(root, `merged-${length}-${line.length}`);
    const lines: string[] = [];
    await mergeToDirectory(
      config,
      path,
      folder,
      work(() => {}),
    );
    await evaluateMethod(
      config,
      { kind: "coefficients", path },
      work((said) => lines.push(said)),
    );
    const cut = lines.flatMap((said) => / texts after (\d+) tokens/.exec(said)?.[1] ?? []);
    expect(new Set(cut)).toEqual(new Set([String(length)]));
    expect(await cutsOf(folder, name.replaceAll(/\W/g, "-"))).toEqual(all(length));
    expect(lines.some((said) => said.includes(`max_length 9 is more than`))).toBe(line.includes("9"));
  } finally {
    await writeFile(suite, before);
  }
});

it("an expert is trained and labels where the base's files say", async () => {
  const lines: string[] = [];
  const { runPath } = await finetune(join(root, "models", "base"), join(root, "long.csv"), {
    ...{ cwd: root, cacheDir: join(root, "cache"), log: (line: string) => lines.push(line) },
    settings: { task: TASK, steps: 1, batch_size: 2, threads: 1, device: "cpu", "eval.share": 0, save_report: false },
  });
  expect(lines.join("\n")).toMatch(/cut 4 of 4 texts after 5 tokens/);
  expect(await cutsOf(join(runPath, "model"), "expert")).toEqual(all(LIMIT));
});
