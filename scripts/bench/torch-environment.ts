/** Finds a Python that has PyTorch, or says how to get one. Benchmarks compare with it; nothing else needs it. */
import { spawnSync } from "node:child_process";

export interface TorchNeeds {
  /** Of `npm run bench`, for the message. */
  readonly what: string;
  /** Python packages beside torch; each is imported by its own name. */
  readonly beside: readonly string[];
}

/** `asked` or python3. Throws with the command that makes an environment when the packages are not there. */
export function findTorch(asked: string | undefined, { what, beside }: TorchNeeds): string {
  const python = asked ?? "python3";
  const packages = ["torch", ...beside];
  const { status } = spawnSync(python, ["-c", `import ${packages.join(", ")}`]);
  if (status === 0) return python;
  throw new Error(
    `${python} has not all of ${packages.join(", ")}, which this benchmark compares with. Make an environment and name it:\n` +
      `  python3 -m venv bench-env && bench-env/bin/pip install ${packages.join(" ")}\n` +
      `  npm run bench -- ${what} --python bench-env/bin/python`,
  );
}

/** Versions of these packages, by name. */
export function torchVersions(python: string, packages: readonly string[]): Readonly<Record<string, string>> {
  const code = `import importlib.metadata, json; print(json.dumps({p: importlib.metadata.version(p) for p in ${JSON.stringify(packages)}}))`;
  return JSON.parse(spawnSync(python, ["-c", code], { encoding: "utf8" }).stdout);
}
