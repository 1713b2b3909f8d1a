/**
 * From a config file to a validated RunConfig: reads the file and what it `extends`, puts the overrides on
 * top, validates everything and reports all mistakes at once, each with file and line.
 */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { ConfigError } from "../errors.js";
import { nearest } from "../runtime/nearest.js";
import { readTextIfThere } from "../runtime/regular-file.js";
import { withPresentKeys } from "./former-keys.js";
import { explainIssue } from "./issues.js";
import { applyOverrides } from "./overrides.js";
import { type RunConfig, runConfigSchema } from "./schema.js";
import { applyLayer, type Problem, problemsError, type Settings, toObject } from "./settings.js";
import { findShipped, shippedFiles, suitePath } from "./shipped-files.js";
import { readYamlLayer } from "./yaml.js";

/** Configs have some hundred lines. */
const MAX_CONFIG_BYTES = 10_000_000;

export interface LoadOptions {
  /** Folder of the presets, `configs/presets` of the package. */
  readonly presetsDir: string;
  /** Relative paths given on the command line, and `output`, are relative to this. */
  readonly cwd: string;
}

/** A run's settings, and where each of them came from. */
export interface LoadedConfig {
  readonly config: RunConfig;
  /** The file, absolute. */
  readonly path: string;
  /** Dotted key to where its value came from (`file:line`, `override key=value`); keys not in it have their default. */
  readonly sources: Map<string, string>;
}

/**
 * Loads `file`, or the config of this name that ships, with `overrides` (`key=value`, `~key`). `suite` and `output` of
 * the result are absolute; `experiment` is the file's name when nothing sets it.
 *
 * @throws ConfigError with every problem found, one a line
 */
export async function loadRunConfig(
  file: string,
  overrides: readonly string[],
  options: LoadOptions,
): Promise<LoadedConfig> {
  const absolute = await findShipped(file, options.cwd, ["config"]);
  const settings: Settings = new Map();
  const problems: Problem[] = [];
  await readFileLayers(absolute, "the config", [], settings, problems, options);
  problems.push(...applyOverrides(settings, overrides, options.cwd));
  const config = validate(settings, shownPath(absolute, options.cwd), problems);
  if (config === undefined || problems.length > 0) throw problemsError(problems);
  const suiteDirectory = settings.get("suite")?.directory ?? options.cwd;
  const resolved: RunConfig = {
    ...config,
    suite: await suitePath(config.suite, suiteDirectory),
    output: path.resolve(options.cwd, config.output),
    experiment: settings.has("experiment") ? config.experiment : experimentName(absolute),
  };
  const sources = new Map([...settings].map(([key, setting]) => [key, setting.source]));
  if (config.stages !== null) sources.set("steps", "sum of stages");
  if (!settings.has("experiment")) sources.set("experiment", `name of ${shownPath(absolute, options.cwd)}`);
  return { config: resolved, path: absolute, sources };
}

/** Validates one object as a whole configuration, e.g. one built by a program. @throws ConfigError with every problem. */
export function parseRunConfig(value: unknown): RunConfig {
  const result = runConfigSchema.safeParse(withPresentKeys(value));
  if (result.success) return result.data;
  throw problemsError(
    result.error.issues.map((issue) => {
      const dotted = issue.path.map(String).join(".");
      return { where: dotted === "" ? "config" : `config key ${dotted}`, text: explainIssue(issue, value) };
    }),
  );
}

/** Reads a file after all it extends, later over earlier. `chain` holds the files being read, to find cycles. */
async function readFileLayers(
  file: string,
  wantedBy: string,
  chain: readonly string[],
  settings: Settings,
  problems: Problem[],
  options: LoadOptions,
): Promise<void> {
  const label = shownPath(file, options.cwd);
  let text: string;
  try {
    text = (await readTextIfThere(file, "a config", MAX_CONFIG_BYTES, ConfigError)) ?? (await readFile(file, "utf8"));
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    throw new ConfigError(`${label}: cannot read ${wantedBy}: ${await explainReadFailure(file, cause)}`, { cause });
  }
  const layer = readYamlLayer(text, label, path.dirname(file));
  problems.push(...layer.problems);
  const inside = [...chain, file];
  for (const base of layer.extends) {
    const baseFile = await resolveBase(base.name, path.dirname(file), options.presetsDir);
    if (typeof baseFile !== "string") problems.push({ where: base.where, text: baseFile.problem });
    else if (inside.includes(baseFile)) {
      const loop = [...inside.slice(inside.indexOf(baseFile)), baseFile].map((each) => shownPath(each, options.cwd));
      problems.push({ where: base.where, text: `extends goes round in a circle: ${loop.join(" -> ")}` });
    } else await readFileLayers(baseFile, `what ${base.where} extends`, inside, settings, problems, options);
  }
  applyLayer(settings, layer.settings);
}

/** A path when it looks like one (`./x.yaml`, `x.yaml`), else the name of a preset (`presets/paper` or `paper`). */
async function resolveBase(name: string, directory: string, presetsDir: string): Promise<string | { problem: string }> {
  if (/\.ya?ml$/.test(name) || name.startsWith(".") || path.isAbsolute(name)) return path.resolve(directory, name);
  const preset = name.replace(/^presets\//, "");
  const shipped = await shippedFiles("preset", presetsDir);
  const file = shipped.get(preset);
  if (file !== undefined) return file;
  const known = [...shipped.keys()];
  const guess = nearest(preset, known);
  const hint = guess === undefined ? "a file of yours needs its .yaml ending" : `did you mean presets/${guess}?`;
  return { problem: `no preset named \`${name}\`; known: ${known.join(", ") || "none"}; ${hint}` };
}

function validate(settings: Settings, label: string, problems: Problem[]): RunConfig | undefined {
  const object = toObject(settings);
  const result = runConfigSchema.safeParse(object);
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    const { key, inside } = splitPath(issue.path, settings);
    const dotted = issue.path.map(String).join(".");
    const where = settings.get(key)?.locate(inside) ?? label;
    if (key === "suite" && !settings.has("suite"))
      problems.push({ where, text: "suite: expected the path of a suite directory, found none; add `suite: PATH`" });
    else problems.push({ where, text: `${dotted}: ${explainIssue(issue, object)}` });
  }
  return undefined;
}

/** The setting an issue belongs to and the path inside its value: `groups.0.name` is `[0, name]` inside `groups`. */
function splitPath(issuePath: readonly PropertyKey[], settings: Settings) {
  for (let length = issuePath.length; length > 0; length--) {
    const key = issuePath.slice(0, length).map(String).join(".");
    if (settings.has(key)) return { key, inside: issuePath.slice(length) };
  }
  return { key: issuePath.map(String).join("."), inside: [] };
}

async function explainReadFailure(file: string, cause: unknown): Promise<string> {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code === "EISDIR") return "expected a YAML file, found a directory";
  if (code !== "ENOENT") return cause instanceof Error ? cause.message : String(cause);
  const directory = path.dirname(file);
  const neighbours = (await readdir(directory).catch(() => [])).filter((each) => /\.ya?ml$/.test(each)).sort();
  if (neighbours.length === 0) return "no such file";
  return `no such file; there are: ${neighbours.slice(0, 10).join(", ")}`;
}

function experimentName(file: string): string {
  const name = path.basename(file).replace(/\.ya?ml$/, "");
  // A file name may hold what a folder of runs may not.
  return name.replace(/[^A-Za-z0-9_.+=-]/g, "-").replace(/^[^A-Za-z0-9_]+/, "") || "default";
}

function shownPath(file: string, cwd: string): string {
  const relative = path.relative(cwd, file);
  return relative.startsWith("..") || relative === "" ? file : relative;
}
