/** A head that a merged model was saved with says its classes and features itself when it is given to `init`. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { writeHeadFile } from "../../../src/model/head-file.js";
import type { ExampleSource } from "../../../src/run/init/example-sources.js";
import { type HeadRequest, lookAtHead } from "../../../src/run/init/head-sources.js";
import { randomArray } from "../../support/random.js";

const folder = mkdtempSync(join(tmpdir(), "adamerge-heads-"));
afterAll(() => rmSync(folder, { recursive: true }));

const CLASSES = ["zebra", "cat", "dog"];
const FEATURES = { pooling: "mean", normalized: true } as const;

function requestOf(file: string, classes: readonly string[]): HeadRequest {
  const examples: ExampleSource = {
    ...{ name: "pets", kind: "image", dataset: folder, splits: undefined, manifest: undefined, classes },
    ...{ areNumbers: false, isJudged: true, counts: new Map(), headSplit: "adapt", assumed: "" },
    ...{ notices: [], unlabelled: [] },
  };
  const family = { title: "tower" };
  return { examples, file, isZeroShot: false, classesFile: undefined, expert: undefined, family };
}

it("with its classes in the order of its rows, and nothing assumed", async () => {
  const file = join(folder, "pets.safetensors");
  const head = {
    task: "pets",
    classes: 3,
    featureSize: 4,
    logitScale: 10,
    weight: randomArray(12, 1),
    bias: randomArray(3, 2),
  };
  await writeHeadFile(file, head, { classes: CLASSES, features: FEATURES });
  const expected = { head: file, classes: CLASSES, logitScale: undefined, features: FEATURES, assumed: [] };
  expect(await lookAtHead(requestOf(file, CLASSES.toSorted()))).toEqual(expected);
  await expect(lookAtHead(requestOf(file, ["cat", "dog", "horse"]))).rejects.toThrow(
    /pets: expected images of the 3 classes in .*pets\.safetensors, found no images of zebra and images of horse/,
  );
  await writeHeadFile(file, head, {});
  const { classes, assumed } = await lookAtHead(requestOf(file, CLASSES.toSorted()));
  expect(classes).toEqual(CLASSES.toSorted());
  expect(assumed).toEqual([expect.stringContaining("rows are in the order of the class names")]);
});
