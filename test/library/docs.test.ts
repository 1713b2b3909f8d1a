/** The examples of docs/library.md and docs/extending: they compile in a strict project, and run as they stand, one after another, in a folder with a tiny suite. */
import { execFile } from "node:child_process";
import { mkdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import * as library from "../../src/index.js";
import { ROOT, temporaryFolder } from "../support/cli.js";
import { writeTextSuite } from "../support/tiny-text-suite.js";

const run = promisify(execFile);
/** docs/extending/family.md has an example in JavaScript, which test/extending runs. */
const PAGES = ["library.md", "extending/method.md", "extending/objective.md", "extending/reader.md"];
const STRICT = {
  ...{ strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true },
  // Declarations of libraries that the package uses are not its own.
  skipLibCheck: true,
};

it("compile, run, and print what they say", async () => {
  const examples: string[] = [];
  for (const page of PAGES) {
    const text = await readFile(join(ROOT, "docs", page), "utf8");
    const found = [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = ""]) => code);
    expect(found.length, page).toBeGreaterThan(0);
    examples.push(...found);
  }
  const folder = await temporaryFolder();
  await writeTextSuite(folder);
  await mkdir(join(folder, "node_modules"));
  await symlink(ROOT, join(folder, "node_modules", "adamerge"), "dir");
  await symlink(join(ROOT, "node_modules", "@types"), join(folder, "node_modules", "@types"), "dir");
  // Steps are few, since only that they run is looked at.
  const short = (code: string): string => code.replaceAll("steps: 100", "steps: 3");
  for (const [index, code] of examples.entries()) await writeFile(join(folder, `example-${index}.ts`), short(code));
  const imports = examples.map((_, index) => `await import("./example-${index}.js");`).join("\n");
  await writeFile(join(folder, "all.ts"), `${imports}\n`);
  await writeFile(join(folder, "package.json"), '{"type": "module"}');
  const compilerOptions = { ...STRICT, module: "nodenext", target: "es2022", lib: ["es2023"], types: ["node"] };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["all.ts"] }));
  const compiler = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  const compiled = await run(process.execPath, [compiler, "-p", folder], { cwd: folder }).catch((error) => error);
  expect(compiled.stdout).toBe("");
  const env = { ...process.env, ADAMERGE_CACHE: join(folder, "cache") };
  const { stdout, stderr } = await run(process.execPath, ["all.js"], { cwd: folder, env });
  expect(stderr).toBe("");
  expect(stdout).toMatch(/adamerging_layer_wise: \d+\.\d %/);
  for (const place of ["merged/model.safetensors", "merged.safetensors", "runs/default/task-wise", "runs/config/doubt"])
    expect((await stat(join(folder, place))).size, place).toBeGreaterThan(0);
});

it("name functions that there are", async () => {
  const text = await readFile(join(ROOT, "docs", "library.md"), "utf8");
  const named = [...text.matchAll(/^\| `(\w+)\(/gm)].map(([, name = ""]) => name);
  expect(named.length).toBeGreaterThan(15);
  expect(named.filter((name) => !(name in library))).toEqual([]);
});

it("a program loads a module, which imports this very package", async () => {
  const folder = await temporaryFolder();
  const method = `defineMethod({ name: "mine", title: "Mine", paper: "", parameters: z.strictObject({}), unit: "element",
    prepare: async () => ({ baseN }) => baseN })`;
  await writeFile(
    join(folder, "mine.mjs"),
    `import { addMethod, defineMethod, z } from "adamerge"; addMethod(${method});`,
  );
  const library = JSON.stringify(join(ROOT, "dist", "index.js"));
  const program = `
    import { loadExtension, methods } from ${library};
    for (const _ of [1, 2]) await loadExtension("mine.mjs");
    console.log(methods().filter(({ name }) => name === "mine").length);
    await loadExtension("nowhere.mjs").catch((error) => console.log(error.message));
  `;
  await writeFile(join(folder, "program.mjs"), program);
  const { stdout } = await run(process.execPath, ["program.mjs"], { cwd: folder });
  expect(stdout).toMatch(/^1\n.*nowhere\.mjs: expected a readable file/);
});
