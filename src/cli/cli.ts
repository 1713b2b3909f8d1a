/**
 * The command line: parses it, runs the one verb it names, turns what is thrown into a message and an exit
 * code. It touches nothing of the process; main.ts connects it.
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import yargs from "yargs";
import { ConfigError } from "../errors.js";
import { nearest } from "../runtime/nearest.js";
import { coefficientsVerb } from "./coefficients.js";
import { configShowVerb } from "./config-show.js";
import { doctorVerb } from "./doctor.js";
import { evalVerb } from "./eval.js";
import { EXIT_INTERRUPTED, EXIT_OK } from "./exit-codes.js";
import { exportVerb } from "./export.js";
import { extractLoraVerb } from "./extract-lora.js";
import { familyOption, loadFamilies } from "./families.js";
import { finetuneVerb } from "./finetune.js";
import { fitVerb } from "./fit.js";
import { groupedHelp } from "./help.js";
import { initVerb } from "./init.js";
import { inspectVerb } from "./inspect.js";
import { type CliIo, tableSpace } from "./io.js";
import { mergeVerb } from "./merge.js";
import { methodsVerb } from "./methods.js";
import { predictVerb } from "./predict.js";
import { pullVerb } from "./pull.js";
import { pushVerb } from "./push.js";
import { quickstartVerb } from "./quickstart.js";
import { reportVerb } from "./report.js";
import { reproduceVerb } from "./reproduce.js";
import { safeStreams } from "./safe-stream.js";
import { showError } from "./show-error.js";
import { sweepVerb } from "./sweep.js";
import { syncVerb } from "./sync.js";
import type { Verb } from "./verb.js";

/** In the order of the help text. */
const verbs: readonly Verb[] = [
  quickstartVerb,
  finetuneVerb,
  initVerb,
  fitVerb,
  evalVerb,
  coefficientsVerb,
  reportVerb,
  mergeVerb,
  predictVerb,
  exportVerb,
  extractLoraVerb,
  inspectVerb,
  methodsVerb,
  pullVerb,
  pushVerb,
  sweepVerb,
  reproduceVerb,
  syncVerb,
  configShowVerb,
  doctorVerb,
];
const globalFlags = ["debug", "family", "help", "offline", "verbose", "version"];
/** What yargs does itself: it prints the script, and what may follow when the script asks. */
const COMPLETION = {
  name: "completion",
  describe: "Print what the shell needs to complete commands: adamerge completion >> ~/.bashrc (or ~/.zshrc)",
  group: "machine",
} as const;
/** Help is laid out for this width, so that it reads the same everywhere but in narrower terminals. */
const HELP_COLUMNS = 100;

/** By which the script of the shell asks. */
const COMPLETIONS = "--get-yargs-completions";

type Run = (io: CliIo) => Promise<number>;

/** Runs one command line (without node and script) and returns the exit code; never throws. */
export async function runCli(args: readonly string[], outer: CliIo): Promise<number> {
  const { endLive, ...streams } = safeStreams(outer);
  const io = { ...outer, ...streams, isVerbose: args.includes("--verbose") };
  const debug = args.includes("--debug");
  try {
    const columns = Math.min(HELP_COLUMNS, tableSpace(io).columns ?? HELP_COLUMNS);
    const parsed = parse(args, { version: await packageVersion(io), columns, settings: await settingsIn(args) });
    if (typeof parsed === "string") {
      io.stdout.write(`${parsed}\n`);
      return EXIT_OK;
    }
    // The switch of Hugging Face's own tools, for one command.
    const work = parsed(args.includes("--offline") ? { ...io, env: { ...io.env, HF_HUB_OFFLINE: "1" } } : io);
    return await work.finally(endLive);
  } catch (error) {
    return report(error, debug, io);
  }
}

interface ParseOptions {
  readonly version: string;
  readonly columns: number;
  /** Of flags that are settings: what these are called. */
  readonly settings: ReadonlyMap<string, string>;
}

/** What the command line asks for: a verb's work, or a text to print (help, version). @throws ConfigError */
function parse(args: readonly string[], { version, columns, settings }: ParseOptions): Run | string {
  let run: Run | undefined;
  let text = "";
  let families: readonly string[] = [];
  const parser = yargs()
    .scriptName("adamerge")
    .locale("en")
    .usage("adamerge <verb>\n\nLearns how to merge models from unlabelled data.")
    .parserConfiguration({
      "dot-notation": false,
      "camel-case-expansion": false,
      "parse-positional-numbers": false,
      // A flag that may be repeated takes one word each time, and leaves the next to whom it belongs.
      "greedy-arrays": false,
    })
    .option("debug", { describe: "Show stack traces", type: "boolean", default: false, global: true })
    .option("offline", {
      describe: "Use only what is here of the Hugging Face hub",
      type: "boolean",
      default: false,
      global: true,
    })
    .option("verbose", {
      describe: "Show what goes on behind the work: engine, memory, files of the cache",
      type: "boolean",
      default: false,
      global: true,
    })
    .option("family", familyOption)
    .middleware(({ family }) => {
      families = (family ?? []).map(String);
    })
    .version(version)
    .alias("help", "h")
    .wrap(columns)
    .strict()
    .exitProcess(false)
    .demandCommand(1, "expected a verb, found none; `adamerge --help` lists them")
    .fail((message, error) => {
      throw error ?? new ConfigError(explainUsage(message, args, settings));
    })
    .epilogue(
      "Exit codes: 0 ok, 1 bug, 2 usage, config or output, 3 bad input file, 4 numeric, 5 tracker, 130 interrupted, " +
        "141 nobody read the whole result.",
    );
  const select = (selected: Run) => {
    run = selected;
  };
  for (const verb of verbs) if (!verb.name.includes(" ")) verb.register(parser, select);
  parser.command("config", "Look at configurations: config show", (group) => {
    for (const verb of verbs) if (verb.name.startsWith("config ")) verb.register(group, select);
    return group.demandCommand(1, "config: expected `config show`, found no such verb");
  });
  parser.completion(COMPLETION.name, COMPLETION.describe);
  parser.example([
    ["adamerge quickstart", "See it work, in about three minutes"],
    ["adamerge fit mini8 steps=100", "Fit, with one setting changed"],
  ]);
  parser.parse([...args], {}, (_error: unknown, _parsed: unknown, output: string) => {
    text = output;
  });
  const chosen = run;
  const isAboutAll = args.every((arg) => arg.startsWith("-") && arg !== COMPLETIONS);
  if (chosen === undefined) return !isAboutAll ? text : groupedHelp(text, [...verbs, COMPLETION], columns);
  return async (io) => {
    await loadFamilies(families, io);
    return chosen(io);
  };
}

function verbOf(args: readonly string[]): { readonly verb: Verb | undefined; readonly words: readonly string[] } {
  const words = args.filter((word) => !word.startsWith("-"));
  const [first = "", second = ""] = words;
  return { verb: verbs.find(({ name }) => name === first || name === `${first} ${second}`), words };
}

const flagName = (arg: string): string => arg.replace(/^-+/, "").split("=")[0] ?? "";

/** Settings that are written as flags, by the flag. Looked up only where a flag is not the verb's own. */
async function settingsIn(args: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const { verb } = verbOf(args);
  const of = verb?.settings;
  const known = new Set([...(verb?.flags ?? []), ...globalFlags]);
  const unknown = args.filter((arg) => arg.startsWith("--")).map(flagName);
  if (of === undefined || unknown.every((name) => known.has(name))) return new Map();
  const { settingCalled } = await import("../library/setting-names.js");
  const found = unknown.filter((name) => !known.has(name)).map((name) => [name, settingCalled(name, of)] as const);
  return new Map(found.flatMap(([name, key]) => (key === undefined ? [] : [[name, key]])));
}

/** yargs's message in our words: what was expected, what was found, the nearest known word. */
function explainUsage(message: string, args: readonly string[], settings: ReadonlyMap<string, string>): string {
  const { verb, words } = verbOf(args);
  const [first = "", second = ""] = words;
  if (verb === undefined) return words.length === 0 ? message : unknownVerb(first, second);
  const help = `\`adamerge ${verb.name} --help\` explains`;
  if (message.startsWith("Not enough non-option arguments"))
    return `${verb.name}: expected \`adamerge ${verb.name} ${verb.usage}\`, found too few arguments; ${help}`;
  const unknown = /^Unknown (?:argument|command)s?: (.*)$/.exec(message)?.[1]?.split(", ");
  if (unknown === undefined) return `${verb.name}: ${message}; ${help}`;
  return unknown.map((word) => unknownWord(word, verb, { args, settings })).join("\n");
}

function unknownVerb(first: string, second: string): string {
  const names = verbs.map(({ name }) => name);
  const group = names.filter((name) => name.startsWith(`${first} `));
  if (group.length > 0 && second === "")
    return `${first}: expected \`adamerge ${group.join("` or `adamerge ")}\`, found no second word`;
  const wanted = group.length > 0 ? `${first} ${second}` : first;
  const guess = nearest(wanted, names);
  return `unknown verb \`${wanted}\`; ${guess === undefined ? `known: ${names.join(", ")}` : `did you mean \`adamerge ${guess}\`?`}`;
}

function unknownWord(
  word: string,
  verb: Verb,
  { args, settings }: { readonly args: readonly string[]; readonly settings: ReadonlyMap<string, string> },
): string {
  const at = args.findIndex((arg) => arg.startsWith("-") && flagName(arg) === word);
  const flag = args[at];
  if (flag === undefined) return `${verb.name}: unexpected argument \`${word}\``;
  const setting = settings.get(word);
  if (setting !== undefined) {
    const next = args[at + 1] ?? "...";
    const value = flag.includes("=") ? flag.slice(flag.indexOf("=") + 1) : next.startsWith("-") ? "..." : next;
    return `unknown flag \`--${word}\`; settings are written without dashes: \`${setting}=${value}\``;
  }
  const known = [...verb.flags, ...globalFlags];
  // A single letter is near to too much: `-o` is not meant as `--overwrite`.
  const guess = word.length === 1 ? undefined : nearest(word, known);
  const hint =
    guess === undefined ? `known: ${known.map((name) => `--${name}`).join(", ")}` : `did you mean \`--${guess}\`?`;
  return `unknown flag \`${word.length === 1 ? "-" : "--"}${word}\`; ${hint}`;
}

function report(error: unknown, debug: boolean, io: CliIo): number {
  if (!io.signal.aborted) return showError(error, debug, io.stderr);
  // After a Ctrl-C whatever the work threw on its way out is the interruption.
  io.stderr.write("adamerge: interrupted\n");
  if (debug && error instanceof Error) io.stderr.write(`${error.stack}\n`);
  return EXIT_INTERRUPTED;
}

async function packageVersion(io: CliIo): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(path.join(io.packageRoot, "package.json"), "utf8"));
  const version =
    typeof manifest === "object" && manifest !== null && "version" in manifest ? manifest.version : undefined;
  return typeof version === "string" ? version : "unknown";
}
