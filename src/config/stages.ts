/**
 * The key `stages` of a config: a fit in stages, one after the other, each from the weights that the former one ended with. Every other
 * key is the stages' own unless a stage says otherwise, so that a stage is a config too and all that knows configs knows stages.
 */
import { z } from "zod";
import { HEADS_NAMES, HEADS_TITLES, type HeadsName, headsIssues, headsKeys } from "./heads.js";
import { objective } from "./objective.js";
import { optimizer } from "./optimizer.js";
import {
  PARAMETRISATION_NAMES,
  PARAMETRISATION_TITLES,
  type ParametrisationName,
  parametrisationIssues,
  parametrisationKeys,
  type SettingIssue,
} from "./parametrisation.js";

const { learning_rate, schedule, warmup_steps } = optimizer.shape;
const { name, form, epsilon, divergence, temperature, reduction } = objective.shape;

const stage = z.strictObject({
  parametrisation: z.enum(PARAMETRISATION_NAMES).exactOptional().describe("What learns in this stage"),
  parametrisation_rank: parametrisationKeys.parametrisation_rank
    .unwrap()
    .exactOptional()
    .describe("As parametrisation_rank"),
  parametrisation_ratio: parametrisationKeys.parametrisation_ratio
    .unwrap()
    .exactOptional()
    .describe("As parametrisation_ratio"),
  heads: z.enum(HEADS_NAMES).exactOptional().describe("Whether the heads are learned in this stage"),
  heads_learning_rate: headsKeys.heads_learning_rate.unwrap().exactOptional().describe("As heads_learning_rate"),
  steps: z.int().min(1).describe("Optimizer steps of this stage"),
  learning_rate: learning_rate.unwrap().exactOptional().describe("As optimizer.learning_rate"),
  schedule: schedule.unwrap().exactOptional().describe("As optimizer.schedule, over the steps of this stage"),
  warmup_steps: warmup_steps.unwrap().exactOptional().describe("As optimizer.warmup_steps"),
  objective: z
    .strictObject({
      name: name.unwrap().exactOptional(),
      form: form.unwrap().exactOptional(),
      epsilon: epsilon.unwrap().exactOptional(),
      divergence: divergence.unwrap().exactOptional(),
      temperature: temperature.unwrap().exactOptional(),
      reduction: reduction.unwrap().exactOptional(),
    })
    .exactOptional()
    .describe("As objective"),
});

/** The key of a config. */
export const stages = z
  .array(stage)
  .min(1)
  .nullable()
  .default(null)
  .describe(
    "Stages of the fit, each from the weights of the former: [{steps, parametrisation, learning_rate, ...}]; null: one",
  );

/** One stage as a config has it. */
export type Stage = z.output<typeof stage>;

/** What a stage may say, where the config says it. */
interface Staged {
  readonly stages: readonly Stage[] | null;
  readonly steps: number;
  readonly parametrisation: ParametrisationName;
  readonly heads: HeadsName;
  readonly optimizer: Readonly<Pick<z.output<typeof optimizer>, "learning_rate" | "schedule" | "warmup_steps">>;
  readonly objective: z.output<typeof objective>;
}

/** A config for each stage, none of which has stages; the config itself where it has none. */
export function stageConfigs<Config extends Staged>(config: Config): readonly Config[] {
  return config.stages === null ? [config] : config.stages.map((stage) => stageConfig(config, stage));
}

function stageConfig<Config extends Staged>(config: Config, { objective, ...stage }: Stage): Config {
  const { learning_rate, schedule, warmup_steps, ...own } = stage;
  const { optimizer } = config;
  return {
    ...config,
    ...own,
    stages: null,
    objective: { ...config.objective, ...objective },
    optimizer: {
      ...optimizer,
      learning_rate: learning_rate ?? optimizer.learning_rate,
      schedule: schedule ?? optimizer.schedule,
      warmup_steps: warmup_steps ?? optimizer.warmup_steps,
    },
  };
}

/** Steps of all stages, or of the one fit. */
export function totalSteps({ stages, steps }: Pick<Staged, "stages" | "steps">): number {
  return stages === null ? steps : stages.reduce((sum, stage) => sum + stage.steps, 0);
}

/** What the stages of a config learn, for people: "coefficients, then merged weights and heads". */
export function learnedTitle(config: Staged): string {
  return stageConfigs(config)
    .map((stage) => stageTitle(stage))
    .join(", then ");
}

/** What one stage learns, for people; `weights` are what it learns of them, where that has a longer name. */
export function stageTitle(
  { parametrisation, heads }: Pick<Staged, "parametrisation" | "heads">,
  weights: string = PARAMETRISATION_TITLES[parametrisation],
): string {
  if (heads === "frozen") return weights;
  return parametrisation === "none" ? HEADS_TITLES[heads] : `${weights} and ${HEADS_TITLES[heads]}`;
}

/** Whether all that is learned of the weights are coefficients of tensors. */
export function learnsCoefficients(config: Staged): boolean {
  return stageConfigs(config).every(({ parametrisation }) => parametrisation === "scalar");
}

/** What of the heads a fit learns, stage by stage; empty where they stay what they are. */
export function learnedHeads(config: Staged): readonly Exclude<HeadsName, "frozen">[] {
  return stageConfigs(config).flatMap(({ heads }) => (heads === "frozen" ? [] : [heads]));
}

/** The objectives of all stages, each once. */
export function objectiveNames<Config extends Staged>(config: Config): readonly Config["objective"]["name"][] {
  return [...new Set(stageConfigs(config).map(({ objective }) => objective.name))];
}

/** What cannot be of stages: settings that do not go with what one of them learns, and starts that cannot be. */
export function stageIssues(
  config: Staged & Parameters<typeof parametrisationIssues>[0] & Parameters<typeof headsIssues>[0],
  given: readonly Stage[],
): readonly SettingIssue[] {
  const found: SettingIssue[] = [];
  const all = stageConfigs(config);
  for (const [index, { parametrisation, steps, optimizer, objective: own }] of all.entries()) {
    const wrong = (key: string, message: string) => found.push({ path: ["stages", index, key], message });
    const former = all[index - 1]?.parametrisation;
    if (parametrisation === "scalar" && former !== undefined && former !== "scalar")
      wrong(
        "parametrisation",
        `expected a stage that can start from the weights that ${former} ended with, found scalar, whose coefficients do not reach them; put scalar stages first`,
      );
    for (const { path, message } of objective.safeParse(own).error?.issues ?? [])
      found.push({ path: ["stages", index, "objective", ...path.map(String)], message });
    if (optimizer.warmup_steps >= steps && optimizer.warmup_steps > 0)
      wrong(
        given[index]?.warmup_steps === undefined ? "steps" : "warmup_steps",
        `expected fewer warm-up steps than steps of the stage (${steps}), found ${optimizer.warmup_steps}`,
      );
  }
  for (const [index, stage] of all.entries()) {
    const own: readonly string[] = Object.keys(given[index] ?? {});
    // What a stage does not say itself is said for all of them.
    for (const { path, message } of headsIssues(stage)) {
      const isOwn = own.includes(`${path[0]}`);
      found.push({ path: isOwn ? ["stages", index, ...path] : path, message: `stage ${index + 1}: ${message}` });
    }
  }
  const other = all.find(({ parametrisation }) => parametrisation !== "scalar");
  return [...found, ...(other === undefined ? [] : parametrisationIssues(other))];
}
