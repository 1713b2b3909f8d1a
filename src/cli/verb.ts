/** The shape of a verb: what yargs needs to parse it and help with it, and what it does. One file per verb. */
import type { Argv, InferredOptionTypes, Options, PositionalOptions } from "yargs";
import { ConfigError } from "../errors.js";
import type { SettingsOf } from "../library/setting-names.js";
import type { VerbGroup } from "./help.js";
import type { CliIo } from "./io.js";

export interface Verb {
  /** `fit`, or `config show` for a verb of a group. */
  readonly name: string;
  /** Positional arguments as yargs writes them. */
  readonly usage: string;
  readonly describe: string;
  /** Where the help lists it. */
  readonly group: VerbGroup;
  /** Names of its flags, for the nearest one to an unknown flag. */
  readonly flags: readonly string[];
  /** Which settings it takes as `key=value`; undefined: none. */
  readonly settings: SettingsOf | undefined;
  /** Registers the verb with yargs; parsing selects it and `select` gets what it will do. */
  register(parser: Argv, select: (run: (io: CliIo) => Promise<number>) => void): Argv;
}

interface VerbDefinition<P extends Record<string, PositionalOptions>, O extends Record<string, Options>> {
  readonly name: string;
  /** Positional arguments as yargs writes them, e.g. `<config> [overrides..]`. */
  readonly usage: string;
  readonly describe: string;
  readonly group: VerbGroup;
  readonly positionals: P;
  readonly options: O;
  /** Which settings it takes as `key=value`; those of a config if absent, where it has overrides. */
  readonly settings?: SettingsOf;
  /** Command line (without the program's name) and what it does; two are enough. */
  readonly examples: readonly (readonly [string, string])[];
  /** Does the work and returns the exit code. */
  readonly run: (args: InferredOptionTypes<P & O>, io: CliIo) => Promise<number>;
}

/** Makes a verb; the types of `run`'s arguments come from its positionals and options. */
export function defineVerb<const P extends Record<string, PositionalOptions>, const O extends Record<string, Options>>(
  definition: VerbDefinition<P, O>,
): Verb {
  const { name, usage, describe, group, positionals, options, examples, run } = definition;
  const settings = definition.settings ?? ("overrides" in positionals ? "config" : undefined);
  return {
    name,
    usage,
    describe,
    group,
    flags: Object.keys(options),
    settings,
    register: (parser, select) =>
      parser.command(
        `${name.split(" ").at(-1)} ${usage}`.trim(),
        describe,
        (verb) => {
          for (const [key, positional] of Object.entries(positionals)) verb.positional(key, positional);
          return verb.options(options).example(examples.map(([line, what]) => [`adamerge ${line}`, what]));
        },
        (parsed) => {
          // yargs makes a list of any flag given twice.
          const once = Object.keys(options).filter((key) => options[key]?.array !== true);
          const twice = once.find((key) => Array.isArray(parsed[key]));
          if (twice !== undefined) throw new ConfigError(`--${twice}: expected once, found several times`);
          // The boundary: yargs has just checked `parsed` against these very positionals and options.
          const args = parsed as unknown as InferredOptionTypes<P & O>;
          select((io) => run(args, io));
        },
      ),
  };
}

export const configPositional = {
  describe: "Config file (YAML), or the name of one that ships",
  type: "string",
  demandOption: true,
} as const satisfies PositionalOptions;

export const overridesPositional = {
  describe: "Settings over the file's: key=value, or ~key for the default",
  type: "string",
  array: true,
  default: [] as string[],
} as const satisfies PositionalOptions;

/** How many of `what` run at the same time. */
export const jobsOption = (what: string) =>
  ({
    describe: `${what} at the same time, sharing the cores`,
    type: "number",
    default: 1,
    requiresArg: true,
    alias: "j",
  }) as const satisfies Options;

/** Of verbs that have no config which says it. */
export const deviceOption = {
  describe: "Where it is computed; auto: the fastest found",
  choices: ["auto", "cpu", "webgpu", "cuda"],
  default: "auto",
  requiresArg: true,
} as const satisfies Options;

export const threadsOption = {
  describe: "CPU threads; 0: all cores",
  type: "number",
  default: 0,
  requiresArg: true,
} as const satisfies Options;

/** Throws ConfigError unless it is a whole number from `least`. */
export function requireWhole(flag: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least)
    throw new ConfigError(`--${flag}: expected a whole number from ${least}, found ${value}`);
}

export const quietOption = {
  describe: "No progress; print only the one useful line",
  type: "boolean",
  default: false,
  alias: "q",
} as const satisfies Options;

export const jsonOption = {
  describe: "Print the result as JSON",
  type: "boolean",
  default: false,
} as const satisfies Options;
