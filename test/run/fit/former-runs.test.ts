/**
 * Run folders of former versions open, are judged, resume and are replaced. The fixtures, with what made them, are in test/former-runs; what the
 * stopped run learns after its resumption is compared with what the other one had learned in one go.
 */
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ROOT, temporaryFolder } from "../../support/cli.js";
import { runInProcess } from "../../support/in-process-cli.js";

const VERSIONS = ["0.1.0"];
/** Another processor rounds otherwise; on the same one the coefficients are equal to the bit. */
const TOLERANCE = 1e-6;

describe.each(VERSIONS)("runs of version %s", (version) => {
  let folder: string;
  const adamerge = (line: string) =>
    runInProcess(folder, line, { ADAMERGE_CACHE: join(folder, "cache"), NO_COLOR: "1" });
  const textOf = (name: string, file: string) => readFile(join(folder, "runs", "mini8", name, file), "utf8");

  beforeAll(async () => {
    folder = await temporaryFolder();
    for (const name of ["stopped", "finished"]) {
      const run = join(folder, "runs", "mini8", name);
      await cp(join(ROOT, "test", "former-runs", `${version}-${name}`), run, { recursive: true });
      const config = await readFile(join(run, "config.yaml"), "utf8");
      const placed = config
        .replace("suite: SUITE", `suite: ${JSON.stringify(join(ROOT, "datasets", "mini8"))}`)
        .replace("output: RUNS", `output: ${JSON.stringify(join(folder, "runs"))}`);
      await writeFile(join(run, "config.yaml"), placed);
    }
  });

  it("are looked at and reported", async () => {
    const inspected = await adamerge("inspect runs/mini8/finished");
    expect(inspected.code, inspected.stderr).toBe(0);
    expect(inspected.stdout).toContain("mnist             0.2895  0.1264  0.4691");
    const reported = await adamerge("report runs/mini8/finished");
    expect(reported.code, reported.stderr).toBe(0);
    // Where a name may break is marked in it.
    const html = (await textOf("finished", "report.html")).replaceAll("<wbr>", "");
    expect(html).toContain("adamerging_layer_wise");
  });

  it("are judged with the accuracies that they recorded", async () => {
    const judged = await adamerge(
      "eval runs/mini8/finished/config.yaml --coefficients runs/mini8/finished/coefficients.json --json --quiet",
    );
    expect(judged.code, judged.stderr).toBe(0);
    const recorded: unknown = JSON.parse(await textOf("finished", "summary.json"));
    expect(recorded).toMatchObject({ rows: [{}, {}, { tasks: JSON.parse(judged.stdout).tasks }] });
  });

  it("resume as if they had not been stopped", async () => {
    const resumed = await adamerge("fit --resume runs/mini8/stopped --quiet");
    expect(resumed.code, resumed.stderr).toBe(0);
    const [found, expected] = await Promise.all(
      ["stopped", "finished"].map(async (name) => {
        const record: { values: number[][] } = JSON.parse(await textOf(name, "coefficients.json"));
        return record.values.flat();
      }),
    );
    expect(found).toHaveLength(160);
    const differences = found?.map((value, i) => Math.abs(value - (expected?.[i] ?? Number.NaN)));
    expect(Math.max(...(differences ?? []))).toBeLessThan(TOLERANCE);
  });

  it("are replaced when that is asked for", async () => {
    const line = `fit runs/mini8/finished/config.yaml steps=1 data.eval_every=0 --quiet`;
    const refused = await adamerge(line);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("expected a new run, found one that is finished");
    const replaced = await adamerge(`${line} --overwrite`);
    expect(replaced.code, replaced.stderr).toBe(0);
    expect(await textOf("finished", "status.json")).toContain(`"step": 1`);
  });
});
