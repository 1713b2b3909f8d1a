/** A family from outside the package, by the command line: a user's module, a user's models, and what is refused. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { familyOf } from "../../src/model/families.js";
import { stoppedRun } from "../../src/run/fit/fit-folder.js";
import { ROOT, runCli, temporaryFolder } from "../support/cli.js";
import { TASKS, writeDanFolder } from "./dan-models.js";

const WITH = ["--family", "family.mjs"];
let folder: string;
const cli = async (line: string, family: readonly string[] = WITH) => runCli(folder, [...line.split(" "), ...family]);
const json = async (...path: string[]) => JSON.parse(await readFile(join(folder, ...path), "utf8"));

beforeAll(async () => {
  // Nothing above it is called adamerge: the module's imports are found all the same.
  folder = await temporaryFolder();
  await writeDanFolder(folder);
});

describe("a family of the user's", () => {
  it("is learned, judged and merged, and the run says which it was", async () => {
    const given = TASKS.map((task) => `--expert ${task}=${task} --texts ${task}=${task}.csv`).join(" ");
    const init = await cli(`init own --base base ${given}`);
    expect(init).toMatchObject({ code: 0, stdout: expect.stringContaining("fit: 10 coefficients of 2 tasks") });
    expect(init.stdout).toMatch(/next: adamerge fit own\/config\.yaml --family family\.mjs$/m);

    const fit = await cli("fit own/config.yaml steps=3 save_report=false --quiet");
    expect(fit).toMatchObject({ code: 0, stderr: "" });
    const path = join(folder, "family.mjs");
    const sha256 = createHash("sha256")
      .update(await readFile(path))
      .digest("hex");
    const run = ["runs", "own", "default"];
    const outsideFamily = { name: "dan", path, sha256 };
    expect(await json(...run, "environment.json")).toMatchObject({ outsideFamily });
    expect(await json(...run, "summary.json")).toMatchObject({ outsideFamily });
    const { values } = await json(...run, "coefficients.json");
    // All began alike.
    expect(new Set(values.flat()).size).toBe(10);

    const { rows } = await json(...run, "summary.json");
    const judged = await cli("eval own/config.yaml --coefficients runs/own/default --json");
    expect(JSON.parse(judged.stdout).tasks).toEqual(rows.at(-1).tasks);
    expect(await cli("merge own/config.yaml --coefficients runs/own/default --output merged")).toMatchObject({
      code: 0,
    });
    const saved = await openCheckpoint(join(folder, "merged"));
    expect([...saved.tensors.keys()].sort()).toEqual([
      "embeddings.weight",
      ...[0, 1].flatMap((block) => [`layers.${block}.bias`, `layers.${block}.weight`]),
    ]);
    expect(saved.config).toMatchObject({ model_type: "deep_averaging_network" });
  });

  it("is there in the processes of a sweep, which the environment may name it to", async () => {
    const sweep = { config: "own/config.yaml", parameters: { "optimizer.learning_rate": [0.1] } };
    await writeFile(join(folder, "sweep.yaml"), stringify(sweep));
    const line = ["sweep", "sweep.yaml", "steps=1", "data.eval_split=val", "save_report=false", "--json"];
    const { code, stdout } = await runCli(folder, line, { ADAMERGE_FAMILIES: "family.mjs" });
    expect(JSON.parse(stdout).rows).toMatchObject([{ state: "finished" }]);
    expect(code).toBe(0);
  });

  it("is asked for by name, and never loaded because files say so", async () => {
    expect(() => familyOf({ model_type: "deep_averaging_network" }, "base")).toThrow(
      /base: expected a model of one of the types .*"deep_averaging_network"\. .*--family FILE/,
    );
    const run = join(folder, "runs", "own", "default");
    const status = JSON.parse(await readFile(join(run, "status.json"), "utf8"));
    await writeFile(join(run, "status.json"), JSON.stringify({ ...status, state: "interrupted" }));
    await expect(stoppedRun(run)).rejects.toThrow(
      `${run}: expected the family dan, which the run began with, found none of that name; pass --family ${join(folder, "family.mjs")}`,
    );

    await cp(join(folder, "family.mjs"), join(folder, "changed.mjs"));
    await writeFile(join(folder, "changed.mjs"), "\n", { flag: "a" });
    const changed = await cli("fit --resume runs/own/default", ["--family", "changed.mjs"]);
    expect(changed.stderr).toMatch(/expected the module of the family dan that the run began with, found others/);
    expect(changed.code).toBe(2);
  });
});

describe("what is refused of a module", () => {
  const imports = 'import { family } from "./family.mjs";\n';
  const cases: readonly (readonly [name: string, text: string, message: RegExp])[] = [
    ["empty", "export const families = [];", /expected a ModelFamily as the default export or as the export `family`/],
    ["broken", "export default {", /expected a JavaScript module .* that loads, found an error in it: Unexpected end/],
    ["other", 'import "no-such-package";', /found an error in it: Cannot find package 'no-such-package'/],
    [
      "partial",
      'export const family = { name: "Mine", title: "mine", kind: "sound", classifers: [] };',
      /partial\.mjs: expected a family of models, found problems: classifers is not known here; is classifiers meant\?; name: expected lower-case letters.*; kind: expected one of image, text, found "sound"; modelTypes: expected array, found nothing; .*open: expected a function, found nothing; and 1 more/,
    ],
    [
      "bert",
      `${imports}export default { ...family, name: "bert" };`,
      /name: expected one that no family has yet, found "bert"/,
    ],
    [
      "vit",
      `${imports}export default { ...family, modelTypes: ["mine", "vit"] };`,
      /modelTypes: expected types that no family has yet, found "vit", which vit has/,
    ],
    [
      "class",
      `${imports}class A { name = "a"; open() {} }\nexport default new A();`,
      /open: expected a function, found nothing/,
    ],
  ];

  /** All in one process, which adds to nobody else's registry: the message of each, or `added`. */
  async function messagesOf(files: readonly string[], more = ""): Promise<string[]> {
    const script = `
      const { addFamilyModules } = await import(${JSON.stringify(join(ROOT, "dist", "model", "family-modules.js"))});
      const said = [];
      for (const file of ${JSON.stringify(files)})
        said.push(await addFamilyModules([file]).then(() => "added", (error) => error.name + ": " + error.message));
      ${more}
      console.log(JSON.stringify(said));`;
    await writeFile(join(folder, "messages.mjs"), script);
    const { stdout } = await promisify(execFile)(process.execPath, [join(folder, "messages.mjs")]);
    return JSON.parse(stdout);
  }

  it("is said with its file", async () => {
    for (const [name, text] of cases) await writeFile(join(folder, `${name}.mjs`), text);
    await mkdir(join(folder, "folder.mjs"), { recursive: true });
    const names = [...cases.map(([name]) => `${name}.mjs`), "missing.mjs", "folder.mjs", "family.mjs", "family.mjs"];
    const said = await messagesOf(names.map((name) => join(folder, name)));
    for (const [index, [name, , message]] of cases.entries()) {
      expect(said[index]).toMatch(message);
      expect(said[index]).toContain(`ConfigError: ${join(folder, `${name}.mjs`)}: `);
    }
    const rest = said.slice(cases.length);
    expect(rest[0]).toMatch(/missing\.mjs: expected a readable file \(ENOENT/);
    expect(rest[1]).toMatch(/folder\.mjs: expected a module that extends adamerge, found a directory/);
    expect(rest.slice(2)).toEqual(["added", "added"]);
  });

  it("what its functions return and throw is its own", async () => {
    const module = `${imports}
      const change = (model) => async (files) => {
        const opened = await family.open(files);
        return { ...opened, model: { ...opened.model, ...model(opened.model) } };
      };
      const named = (name, open) => ({ ...family, name, modelTypes: [name], open });
      export default named("NAME", NAME);`;
    const bodies = {
      thrown: "async () => { throw new TypeError('no such thing'); }",
      unmasked: "change(() => ({ mask: 'mask' }))",
      featureless: "change(() => ({ featureSize: 0, facts: undefined }))",
      wide: "change((model) => ({ features: () => ({ shape: [1, 2, 3] }) }))",
    };
    const files = Object.entries(bodies).map(
      ([name, body]) => [name, module.replace("NAME", name).replace("NAME", body)] as const,
    );
    for (const [name, text] of files) await writeFile(join(folder, `${name}.mjs`), text);
    const more = `
      const { familyOf } = await import(${JSON.stringify(join(ROOT, "dist", "model", "families.js"))});
      const { readFile } = await import("node:fs/promises");
      const config = JSON.parse(await readFile(${JSON.stringify(join(folder, "base", "config.json"))}, "utf8"));
      for (const name of ${JSON.stringify(Object.keys(bodies))}) {
        const family = familyOf({ model_type: name }, "here");
        const opened = family.open({ config, folder: ${JSON.stringify(join(folder, "base"))} });
        said.push(await opened.then(({ model }) => model.features()).then(() => "fine", (error) => error.name + ": " + error.message));
      }`;
    const said = await messagesOf(
      files.map(([name]) => join(folder, `${name}.mjs`)),
      more,
    );
    expect(said.slice(0, files.length)).toEqual(files.map(() => "added"));
    const [thrown, unmasked, featureless, wide] = said.slice(files.length);
    expect(thrown).toMatch(/^ConfigError: .*thrown\.mjs: thrown\.open failed: no such thing/);
    expect(unmasked).toMatch(
      /unmasked\.open: model\.mask: expected the name of an input, .* found mask, which is none/,
    );
    expect(featureless).toMatch(
      /featureless\.open: .*model\.featureSize: .*model\.facts: expected array, found nothing/,
    );
    expect(wide).toMatch(/wide: model\.features: expected a tensor \[examples, 8\] \(featureSize\), found \[1, 2, 3\]/);
  });
});

it("the documented module is the tested one", async () => {
  const page = await readFile(join(ROOT, "docs", "extending", "family.md"), "utf8");
  const module = await readFile(join(import.meta.dirname, "dan-family.mjs"), "utf8");
  expect(page).toContain(`\`\`\`js\n${module}\`\`\``);
});
