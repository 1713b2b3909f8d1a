/** The logit ensemble: of one expert it is that expert; of two its predictions are those of the mean of their logits. */
import { join } from "node:path";
import { expect, it } from "vitest";
import { loadRunConfig } from "../../../src/config/load.js";
import type { RunConfig } from "../../../src/config/schema.js";
import { isLabelled } from "../../../src/data/examples.js";
import { mergedTensors } from "../../../src/merge/merged-weights.js";
import { chooseMethod } from "../../../src/run/judge/choose-method.js";
import { judgeMethod, perTensor, scoredEvaluations } from "../../../src/run/judge/judge-models.js";
import { type Session, withSession } from "../../../src/run/session/session.js";
import { ROOT, temporaryFolder } from "../../support/cli.js";

const LIMIT = 40;

async function inSession(tasks: string, folder: string, use: (session: Session, config: RunConfig) => Promise<void>) {
  const presetsDir = join(ROOT, "configs", "presets");
  const settings = [`tasks=[${tasks}]`, `data.eval_limit=${LIMIT}`];
  const { config } = await loadRunConfig(join(ROOT, "configs", "mini8.yaml"), settings, { presetsDir, cwd: folder });
  const options = { cacheDir: join(folder, "cache"), signal: new AbortController().signal, log: () => {} };
  await withSession(config, options, (session) => use(session, config));
}

it("of one expert is that expert, and of two the mean of both", async () => {
  const folder = await temporaryFolder();
  await inSession("mnist", folder, async ({ inputs, evaluation }, config) => {
    const judged = async (name: string) =>
      (await judgeMethod(config, inputs, chooseMethod(name), evaluation)).evaluations.get("mnist");
    expect(await judged("logit_ensemble")).toEqual(await judged("individual"));
  });
  await inSession("mnist, letters", folder, async ({ inputs, evaluation }, config) => {
    const { evaluations } = await judgeMethod(config, inputs, chooseMethod("logit_ensemble"), evaluation);
    const scored = scoredEvaluations(evaluations);
    const { classifier, examples } = evaluation;
    for (const [task, own] of scored) {
      const store = examples.get(task);
      if (store === undefined || !isLabelled(store)) throw new Error(`no images of ${task}`);
      const logits: Float32Array[] = [];
      for (const expert of [0, 1]) {
        const weights = new Map<string, Float32Array>();
        const alone = perTensor(inputs, (other) => (other === expert ? 1 : 0));
        for await (const { name, values } of mergedTensors(inputs.bundle, alone)) weights.set(name, values);
        await classifier.setWeights(weights);
        logits.push(await classifier.taskLogits(task, store, { limit: LIMIT }));
      }
      const [a = new Float32Array(), b = new Float32Array()] = logits;
      expect(a).not.toEqual(b);
      const classes = a.length / LIMIT;
      const predicted = Array.from({ length: LIMIT }, (_, image) => {
        const sums = Array.from(
          { length: classes },
          (_, at) => (a[image * classes + at] ?? 0) + (b[image * classes + at] ?? 0),
        );
        return sums.indexOf(Math.max(...sums));
      });
      expect([...own.predictions]).toEqual(predicted);
      expect(own.correct).toBe(predicted.filter((label, image) => label === store.labels[image]).length);
    }
  });
});
