/**
 * `adamerge init`: a suite and a config from a person's own models and data. Looks at the examples and heads, writes the suite into a temporary
 * folder, opens it with the code of a fit (so that what is said here is what a fit finds), judges every expert alone, times a step, and only
 * then writes. Nothing is written when something is wrong.
 */
import { lstat, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Hub } from "../../checkpoint/hub/request.js";
import { loadRunConfig } from "../../config/load.js";
import type { RunConfig } from "../../config/schema.js";
import { prototypesOf } from "../../data/head-recipes.js";
import { kindOf } from "../../data/kinds.js";
import { ConfigError, DataError, UserError } from "../../errors.js";
import { familyOf } from "../../model/families.js";
import type { FeatureChoice } from "../../model/family.js";
import { lookAtExpert, openBase } from "../../model/open-models.js";
import { writeFileAtomic } from "../../runtime/atomic-file.js";
import { makeFolder } from "../../runtime/make-folder.js";
import { nearest } from "../../runtime/nearest.js";
import { requireFilePlace } from "../../runtime/output-place.js";
import type { OnProgress } from "../../runtime/progress.js";
import { fitNeeds } from "../fit/fit-needs.js";
import { type FitPlan, planSession, totalSeconds } from "../fit/plan-fit.js";
import { withSession } from "../session/session.js";
import { exampleKind, requireKind } from "./example-kind.js";
import { type ExampleSource, type GivenExamples, lookAtExamples } from "./example-sources.js";
import { type ExpertFacts, expertFacts, suspiciousExperts } from "./expert-facts.js";
import { type HeadSource, lookAtHead } from "./head-sources.js";
import { CONFIG_FILE, type InitPreset, type InitSuite, type InitTask, initFiles } from "./init-files.js";

/** A path (absolute, or for models a reference to the hub) with the expert it belongs to. */
export interface Named {
  readonly name: string;
  readonly path: string;
}

export interface InitRequest {
  /** Where the files are written, absolute. */
  readonly directory: string;
  /** Of the suite. */
  readonly name: string;
  readonly base: string;
  readonly experts: readonly Named[];
  readonly examples: readonly GivenExamples[];
  readonly heads: readonly Named[];
  /** Experts whose heads are made of the classes' names. */
  readonly zeroShot: readonly string[];
  readonly classes: readonly Named[];
  /** Model with the text tower that makes zero-shot heads; the base if absent. */
  readonly textModel?: string | undefined;
  /** That the config extends. */
  readonly preset: InitPreset;
}

export interface InitOptions {
  readonly cacheDir: string;
  readonly presetsDir: string;
  /** Replaces files that are there. */
  readonly force: boolean;
  readonly dryRun: boolean;
  readonly hub: Hub;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
  readonly onProgress?: OnProgress;
}

/** What `init` found out about the models and data, what it assumed, and what it wrote. */
export interface InitFindings {
  readonly experts: readonly ExpertFacts[];
  readonly examples: readonly ExampleSource[];
  readonly heads: readonly HeadSource[];
  readonly assumed: readonly string[];
  readonly warnings: readonly string[];
  readonly plan: FitPlan;
  /** Paths written, or that would be. */
  readonly files: readonly string[];
}

const EXAMPLE_FLAGS = ["--images", "--texts", "--data"] as const;
const WARNING = "warning: ";
const NOTICE = "notice: ";

/** Throws ConfigError for names that do not fit together, and whatever a fit would throw before its first step; nothing is written then. */
export async function initSuite(request: InitRequest, options: InitOptions): Promise<InitFindings> {
  checkNames(request);
  const { suite, assumed } = await lookAtAll(request, options.signal);
  await requirePlaces(suite, request, options.force);
  const { preset } = request;
  const checked = await check(suite, preset, options);
  const { plan } = checked;
  const files = initFiles(suite, preset, request.directory, { absolute: false });
  if (!options.dryRun) for (const [name, text] of files) await writeFileAtomic(join(request.directory, name), text);
  const words = preset === "paper" ? "the paper's" : "those that learned best of what was measured here";
  const settings = `settings: ${words} (preset ${preset}), ${plan.steps} steps`;
  return {
    experts: checked.experts,
    examples: suite.tasks.map(({ examples }) => examples),
    heads: suite.tasks.map(({ head }) => head),
    assumed: [...assumed, settings],
    warnings: checked.warnings,
    plan,
    files: [...files.keys()],
  };
}

function checkNames({ experts, examples, heads, zeroShot, classes }: InitRequest): void {
  const names = experts.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new ConfigError(`--expert: expected every name once, found ${twice} twice`);
  if (names.length < 2)
    throw new ConfigError(
      `--expert: expected at least 2 experts to merge, found ${names.length}; give --expert NAME=PATH for each`,
    );
  for (const [flag, given] of [
    ...EXAMPLE_FLAGS.map((flag) => [flag, examples.filter((one) => one.flag === flag)] as const),
    ["--head", [...heads, ...zeroShot.map((name) => ({ name }))]],
    ["--classes", classes],
  ] as const)
    for (const { name } of given) {
      if (names.includes(name)) continue;
      const close = nearest(name, names);
      throw new ConfigError(
        `${flag} ${name}: expected the name of an expert (${names.join(", ")}), found another${close === undefined ? "" : `; did you mean ${close}?`}`,
      );
    }
  // As the others were given.
  const flag = examples[0]?.flag ?? "--images";
  const without = names.filter((name) => !examples.some((one) => one.name === name));
  if (without.length > 0)
    throw new ConfigError(
      `${flag}: expected ${flag.slice(2)} for every expert, found none for ${without.join(", ")}; give ${flag} NAME=PATH (labels are not needed)`,
    );
  const again = examples.find(({ name }, index) => examples.findIndex((one) => one.name === name) !== index);
  if (again !== undefined)
    throw new ConfigError(`${again.flag} ${again.name}: expected ${flag.slice(2)} of an expert once, found them again`);
}

/** Every problem of every expert at once. */
async function lookAtAll(request: InitRequest, signal: AbortSignal): Promise<{ suite: InitSuite; assumed: string[] }> {
  const problems: UserError[] = [];
  const tasks: InitTask[] = [];
  // A base that is on the hub is not there yet: of the experts only what all families have in common is looked at then.
  const opened = (await isHere(request.base)) ? await openBase(request.base) : undefined;
  const family = familyOf(opened?.config, request.base);
  const kind = await exampleKind(request, opened);
  requireKind(request, kind);
  for (const { name, path } of request.experts) {
    const pathOf = (given: readonly Named[]) => given.find((one) => one.name === name)?.path;
    try {
      const file = pathOf(request.heads);
      const isZeroShot = request.zeroShot.includes(name);
      const given = request.examples.find((one) => one.name === name) ?? { name, path: "", flag: "--data" };
      const expert = (await isHere(path)) ? await lookAtExpert(path, family) : undefined;
      const isMade = file === undefined && !isZeroShot && expert?.classifier === undefined;
      const examples = await lookAtExamples(given, kind, isMade, signal);
      const classesFile = pathOf(request.classes);
      const head = await lookAtHead({ examples, file, isZeroShot, classesFile, expert, family });
      tasks.push({ name, expert: path, examples, head });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      problems.push(error);
    }
  }
  const [first] = problems;
  if (first !== undefined) {
    if (problems.length === 1) throw first;
    throw new DataError(problems.map(({ message }) => message).join("\n"));
  }
  const scales = new Map(
    tasks.flatMap(({ name, head }) => (head.logitScale === undefined ? [] : [[head.logitScale, name] as const])),
  );
  const [[scale] = []] = [...scales];
  if (scales.size > 1)
    throw new ConfigError(
      `--head: expected heads of one logit scale, found ${[...scales].map(([value, name]) => `${value} (${name})`).join(" and ")}; add a tensor logit_scale [1] to each file`,
    );
  const assumed = tasks.flatMap(({ examples, head }) => [
    examples.assumed,
    ...examples.notices.map((text) => `${examples.name}: ${text}`),
    ...headLine(examples, head),
    ...head.assumed,
  ]);
  const { name, base, textModel } = request;
  const features = commonFeatures(tasks);
  return { suite: { name, base, textModel, logitScale: scale, features, tasks }, assumed };
}

/** What the classifiers of all experts read; undefined where there are none. Throws ConfigError where they read different things. */
function commonFeatures(tasks: readonly InitTask[]): FeatureChoice | undefined {
  const read = new Map(
    tasks.flatMap(({ name, head: { features } }) =>
      features === undefined ? [] : [[JSON.stringify(features), { name, features }] as const],
    ),
  );
  const [first, second] = [...read.values()];
  if (first !== undefined && second !== undefined)
    throw new ConfigError(
      `--expert: expected classifiers that read the same features, found ${first.features.pooling} (${first.name}) and ${second.features.pooling} (${second.name}); merge them apart, or give heads with --head`,
    );
  return first?.features;
}

function headLine({ name, kind }: ExampleSource, { head }: HeadSource): string[] {
  const prototypes = prototypesOf(head);
  if (prototypes === undefined) return [];
  return [
    `${name}: no head given: prototypes of the labelled ${kindOf(kind).many} of ${prototypes.split}, in the expert's features`,
  ];
}

/** Whether it can be looked at before downloads: no reference to the hub. */
async function isHere(path: string): Promise<boolean> {
  return path.startsWith("/") || (await stat(path).catch(() => undefined)) !== undefined;
}

/** Whether each file can be written: over nothing, or with `force` over a regular file that nothing is read from. */
async function requirePlaces(suite: InitSuite, request: InitRequest, force: boolean): Promise<void> {
  const { directory, examples, heads, classes } = request;
  const read = [...examples, ...heads, ...classes];
  const isFile = await Promise.all(
    read.map(({ path }) =>
      stat(path).then(
        (found) => found.isFile(),
        () => false,
      ),
    ),
  );
  const inputs = read
    .filter((_, index) => isFile[index] === true)
    .map(({ name, path }) => ({ path, what: `what was given for ${name}` }));
  for (const name of initFiles(suite, "paper", directory, { absolute: false }).keys()) {
    const path = join(directory, name);
    if (!force && (await lstat(path).catch(() => undefined)) !== undefined)
      throw new ConfigError(
        `${path}: expected no such file yet, found one; give another directory, or --force to replace it`,
      );
    await requireFilePlace(path, { shown: path, inputs, overwrite: force });
  }
}

/** `plan`, which was made with `timed`, for another config of the same models: a step takes as long as its examples. */
function planFor(plan: FitPlan, timed: RunConfig, config: RunConfig): FitPlan {
  const stepSeconds = (plan.stepSeconds * examplesPerStep(config)) / examplesPerStep(timed);
  return { ...plan, steps: config.steps, stepSeconds, totalSeconds: totalSeconds({ ...plan, stepSeconds }, config) };
}

const examplesPerStep = ({ data }: RunConfig): number => data.batch_size * data.batches_per_task;

interface Checked {
  readonly experts: readonly ExpertFacts[];
  readonly warnings: readonly string[];
  readonly plan: FitPlan;
}

/** Opens the suite as a fit does, from a temporary folder. */
async function check(suite: InitSuite, preset: InitPreset, options: InitOptions): Promise<Checked> {
  await makeFolder(options.cacheDir);
  const folder = await mkdtemp(join(options.cacheDir, "init-"));
  try {
    const load = async (preset: InitPreset): Promise<RunConfig> => {
      for (const [name, text] of initFiles(suite, preset, folder, { absolute: true })) {
        await makeFolder(dirname(join(folder, name)));
        await writeFile(join(folder, name), text);
      }
      return (await loadRunConfig(join(folder, CONFIG_FILE), [], { presetsDir: options.presetsDir, cwd: folder }))
        .config;
    };
    const paper = await load("paper");
    const written = preset === "paper" ? paper : await load(preset);
    const warnings: string[] = [];
    const known = new Set(suite.tasks.flatMap(({ examples }) => examples.notices.map((text) => `${NOTICE}${text}`)));
    const log = (line: string) => {
      if (known.has(line)) return;
      if (line.startsWith(WARNING)) warnings.push(line.slice(WARNING.length));
      else options.log(line);
    };
    // With the paper's, which needs no processing of the task vectors: that is left to the fit.
    return await withSession(paper, { ...options, log }, async (session) => {
      const experts = await expertFacts(paper, session);
      warnings.push(...suspiciousExperts(experts, session.inputs.encoder.kind));
      const plan = await planSession(paper, session, options.cacheDir);
      if (written === paper) return { experts, warnings, plan };
      const { encoder, model, tasks } = session.inputs;
      const models = { model, kind: encoder.kind, tasks: tasks.length, longest: plan.needs.longest };
      const needs = await fitNeeds(written, models, options.cacheDir);
      return { experts, warnings, plan: { ...planFor(plan, paper, written), needs } };
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
