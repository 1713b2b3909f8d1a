/** Norms and cosines of task vectors against sums over the experts' own tensors. */
import { join } from "node:path";
import { expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { loadRunConfig } from "../../src/config/load.js";
import { mergeableTensors } from "../../src/merge/merged-weights.js";
import { taskVectorGeometry } from "../../src/merge/task-vector-geometry.js";
import { loadInputs } from "../../src/run/session/inputs.js";
import { ROOT, temporaryFolder } from "../support/cli.js";

it("are those of expert minus base", async () => {
  const cacheDir = await temporaryFolder();
  const { config } = await loadRunConfig(join(ROOT, "configs", "quickstart-mini8.yaml"), ["tasks=[mnist, letters]"], {
    cwd: cacheDir,
    presetsDir: join(ROOT, "configs", "presets"),
  });
  const inputs = await loadInputs(config, { cacheDir, log: () => {} });
  const { tasks, normRatios, cosines } = await taskVectorGeometry(inputs.bundle);
  expect(tasks).toEqual(["mnist", "letters"]);

  const open = async (folder: string) => openCheckpoint(folder);
  const base = await open(inputs.suite.base);
  const experts = await Promise.all(inputs.tasks.map(({ expert }) => open(expert)));
  const sums = { aa: 0, bb: 0, ab: 0, base: 0 };
  for (const name of mergeableTensors(inputs.bundle)) {
    const from = await base.readFloat32(name);
    const [a, b] = await Promise.all(experts.map((expert) => expert.readFloat32(name)));
    from.forEach((value, index) => {
      const [x, y] = [(a?.[index] ?? 0) - value, (b?.[index] ?? 0) - value];
      sums.aa += x * x;
      sums.bb += y * y;
      sums.ab += x * y;
      sums.base += value * value;
    });
  }
  const expected = sums.ab / Math.sqrt(sums.aa * sums.bb);
  expect(cosines[0]?.[1]).toBeCloseTo(expected, 6);
  expect(cosines[1]?.[0]).toBe(cosines[0]?.[1]);
  expect(cosines[1]?.[1]).toBeCloseTo(1, 12);
  expect(normRatios[0]).toBeCloseTo(Math.sqrt(sums.aa / sums.base), 6);
  expect(normRatios[1]).toBeCloseTo(Math.sqrt(sums.bb / sums.base), 6);
});
