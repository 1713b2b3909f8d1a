/** Finds a Python that has what a comparison needs, or says how to get one. Nothing but comparisons needs Python. */
import { spawnSync } from "node:child_process";

export interface PythonNeeds {
  /** Modules that are imported. */
  readonly modules: readonly string[];
  /** Distributions that `pip install` gets them from; their versions are reported. */
  readonly packages: readonly string[];
  /** Of `npm run compare`, for the message. */
  readonly target: string;
}

export interface FoundPython {
  readonly command: string;
  /** By distribution, and Python's own as `python`. */
  readonly versions: Readonly<Record<string, string>>;
}

/** `asked` or python3. Throws with the command that makes an environment when something is missing. */
export function findPython(asked: string | undefined, { modules, packages, target }: PythonNeeds): FoundPython {
  const command = asked ?? "python3";
  const code =
    `import ${["importlib.util", "importlib.metadata", "json", "platform", "sys"].join(", ")}\n` +
    `lacking = [m for m in ${JSON.stringify(modules)} if importlib.util.find_spec(m) is None]\n` +
    "if lacking: sys.exit('no ' + ', '.join(lacking))\n" +
    `versions = {p: importlib.metadata.version(p) for p in ${JSON.stringify(packages)}}\n` +
    "print(json.dumps({'python': platform.python_version(), **versions}))";
  const { status, stdout, stderr, error } = spawnSync(command, ["-c", code], { encoding: "utf8" });
  if (status === 0) return { command, versions: JSON.parse(stdout) };
  throw new Error(
    `${command} cannot be compared with (${error?.message ?? stderr.trim()}). Make an environment and name it:\n` +
      `  python3 -m venv compare-env && compare-env/bin/pip install ${packages.join(" ")}\n` +
      `  npm run compare -- ${target} --python compare-env/bin/python`,
  );
}
