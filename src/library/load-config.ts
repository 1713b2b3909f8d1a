/** Configs for the verbs that take one: by name or path, as an object that a program made, or loaded before. */
import path from "node:path";
import { type LoadedConfig, loadRunConfig, parseRunConfig } from "../config/load.js";
import type { RunConfig, RunConfigInput } from "../config/schema.js";
import { suitePath } from "../config/shipped-files.js";
import { presetsFolder } from "./package-files.js";
import { workingDirectory } from "./surroundings.js";
import type { Work } from "./work-options.js";

/** A file by its path or name; or settings, of which only `suite` must be there; or what `loadConfig` gave. */
export type ConfigSource = string | RunConfigInput | LoadedConfig;

/** What is set over a config's file. */
export interface LoadConfigOptions {
  /** Settings over the file's: `["steps=100"]` as on the command line, or `{ steps: 100, "optimizer.learning_rate": 0.01 }`. */
  readonly overrides?: Overrides | undefined;
  /** Where relative paths begin; default: the working folder. */
  readonly cwd?: string | undefined;
}

/**
 * Settings over those of a config: `key=value` texts as on the command line, or values by their keys, with dots
 * between.
 */
export type Overrides = readonly string[] | Readonly<Record<string, unknown>>;

/** Loads a config with what it extends. Throws ConfigError with every mistake, each with its file and line. */
export function loadConfig(
  nameOrPath: string,
  { overrides = [], cwd = "" }: LoadConfigOptions = {},
): Promise<LoadedConfig> {
  const options = { cwd: path.resolve(workingDirectory(), cwd), presetsDir: presetsFolder };
  return loadRunConfig(nameOrPath, overrideTexts(overrides), options);
}

/** As the command line writes them: JSON is YAML. */
export function overrideTexts(overrides: Overrides): readonly string[] {
  if (isList(overrides)) return overrides;
  const given = Object.entries(overrides).filter(([, value]) => value !== undefined);
  return given.map(([key, value]) => `${key}=${JSON.stringify(value)}`);
}

function isList(overrides: Overrides): overrides is readonly string[] {
  return Array.isArray(overrides);
}

/** The config that a verb was given, with absolute paths, and its file where it has one. Throws ConfigError as `loadConfig`. */
export async function resolveConfig(
  source: ConfigSource,
  { cwd, output }: Pick<Work, "cwd" | "output">,
): Promise<{ readonly config: RunConfig; readonly configPath: string | undefined }> {
  if (typeof source !== "object") {
    const { config, path: configPath } = await loadConfig(source, { cwd });
    return { config: { ...config, output: output ?? config.output }, configPath };
  }
  if (isLoaded(source))
    return { config: { ...source.config, output: output ?? source.config.output }, configPath: source.path };
  const config = parseRunConfig(source);
  const places = { suite: await suitePath(config.suite, cwd), output: output ?? path.resolve(cwd, config.output) };
  return { config: { ...config, ...places }, configPath: undefined };
}

function isLoaded(source: RunConfigInput | LoadedConfig): source is LoadedConfig {
  return "config" in source && "sources" in source;
}
