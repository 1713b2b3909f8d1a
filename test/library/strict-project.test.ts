/**
 * A project of a person's own that uses the library by its name, as strict as compilers are and without `skipLibCheck`: it compiles with the types of
 * browsers around it (the default) and with none but Node's, and what it compiles to runs.
 */
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ROOT } from "../support/cli.js";

const PROGRAM = `import { openSuite, type Suite, tf } from "adamerge";
import { createEngine, type Program } from "adamerge/internal";
const suite: Suite = await openSuite(${JSON.stringify(join(ROOT, "datasets", "mini8"))});
const doubling: Program = {
  ...{ name: "doubling", frozen: new Map(), inputs: new Map([["x", { shape: [2], dtype: "float32" as const }]]) },
  build: (tensors) => new Map([["y", tf.mul(tensors.get("x") ?? 0, 2)]]),
};
const { engine } = await createEngine({ engine: "tfjs", device: "cpu", threads: 1 });
const outputs = await (await engine.compile(doubling)).run(new Map([["x", Float32Array.of(1, 2)]]));
console.log(suite.tasks.length, ...(outputs.get("y") ?? []));
`;
const OPTIONS = {
  ...{ strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, verbatimModuleSyntax: true },
  ...{ module: "nodenext", target: "es2022", skipLibCheck: false, outDir: "out", rootDir: "." },
};

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adamerge-strict-"));
  await mkdir(join(folder, "node_modules"));
  await symlink(ROOT, join(folder, "node_modules", "adamerge"), "dir");
  await symlink(join(ROOT, "node_modules", "@types"), join(folder, "node_modules", "@types"), "dir");
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  await writeFile(join(folder, "program.ts"), PROGRAM);
});
afterAll(() => rm(folder, { recursive: true }));

const node = (...args: string[]) => spawnSync(process.execPath, args, { cwd: folder, encoding: "utf8" });

async function compile(options: object): Promise<string> {
  const compilerOptions = { ...OPTIONS, ...options };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["program.ts"] }));
  return node(join(ROOT, "node_modules", "typescript", "bin", "tsc"), "-p", ".").stdout;
}

it("compiles beside the types of browsers, and runs", async () => {
  expect(await compile({})).toBe("");
  const { stdout, stderr } = node("out/program.js");
  expect(stdout, stderr).toBe("8 2 4\n");
});

it("compiles with no types but Node's, and they are no `any`", async () => {
  expect(await compile({ lib: ["es2022"], types: [], noEmit: true })).toBe("");
  await writeFile(join(folder, "program.ts"), `${PROGRAM}export const wrong: number = tf.mul(suite.name, 2);\n`);
  expect(await compile({ lib: ["es2022"], types: [], noEmit: true })).toMatch(
    /^program\.ts\(\d+,14\): error TS2322: Type 'Tensor' is not assignable to type 'number'\.\n$/,
  );
});
