/** The suite.yaml files of mini8: the suite itself, its second expert seed, its second tower, the hard variant, the unseen tasks. */
import { join } from "node:path";
import { stringify } from "yaml";
import { writeFileAtomic } from "../../../src/runtime/atomic-file.js";
import { HARD, SUITE, TASKS, type TaskPlan, UNSEEN } from "./suite-plan.js";

export interface SuiteFiles {
  /** datasets/mini8. */
  readonly directory: string;
  /** Logit scale of each tower, by its directory. */
  readonly logitScales: ReadonlyMap<string, number>;
  readonly classes: ReadonlyMap<string, readonly string[]>;
}

interface Variant {
  readonly file: string;
  readonly name: string;
  readonly title: string;
  /** Directory of the tower, "" or "small". */
  readonly tower: string;
  readonly tasks: readonly TaskPlan[];
  readonly expertOf: (task: string) => string;
  readonly multitask: boolean;
}

const MAIN_TITLE = "Eight small image tasks with a tower of 1.2 million parameters";

const VARIANTS: readonly Variant[] = [
  {
    file: "suite.yaml",
    name: SUITE,
    title: MAIN_TITLE,
    tower: "",
    tasks: TASKS,
    expertOf: (task) => `experts/${task}`,
    multitask: true,
  },
  {
    file: "suite-seed2.yaml",
    name: `${SUITE}-seed2`,
    title: `${MAIN_TITLE}, experts of another seed`,
    tower: "",
    tasks: TASKS,
    expertOf: (task) => `experts-seed2/${task}`,
    multitask: true,
  },
  {
    file: "suite-small.yaml",
    name: `${SUITE}-small`,
    title: "The eight tasks of mini8 with a smaller tower",
    tower: "small",
    tasks: TASKS,
    expertOf: (task) => `experts/${task}`,
    multitask: false,
  },
  {
    file: "suite-hard.yaml",
    name: `${SUITE}-hard`,
    title: "mini8 with poor and irrelevant experts in five of eight places",
    tower: "",
    tasks: TASKS,
    expertOf: hardExpertOf,
    multitask: true,
  },
  {
    file: "suite-unseen.yaml",
    name: `${SUITE}-unseen`,
    title: "Two tasks that no expert of mini8 has seen",
    tower: "",
    tasks: UNSEEN,
    expertOf: (task) => `experts-unseen/${task}`,
    multitask: false,
  },
];

/** An irrelevant expert is that of the unseen task. */
function hardExpertOf(task: string): string {
  const flawed = HARD.find((expert) => expert.task === task);
  if (flawed === undefined) return `experts/${task}`;
  const isUnseen = UNSEEN.some(({ name }) => name === flawed.trainedOn);
  return isUnseen ? `experts-unseen/${flawed.trainedOn}` : `experts-hard/${task}`;
}

/** Writes the variants whose tower is made. */
export async function writeSuiteFiles({ directory, logitScales, classes }: SuiteFiles): Promise<void> {
  for (const variant of VARIANTS) {
    if (!logitScales.has(variant.tower)) continue;
    const below = (path: string): string => (variant.tower === "" ? path : `${variant.tower}/${path}`);
    const suite = {
      name: variant.name,
      title: variant.title,
      base: below("base"),
      ...(variant.multitask ? { multitask: below("multitask") } : {}),
      logit_scale: logitScales.get(variant.tower),
      tasks: variant.tasks.map(({ name, title, licence, source }) => ({
        name,
        title,
        dataset: `tasks/${name}`,
        expert: below(variant.expertOf(name)),
        head: below(`heads/${name}.safetensors`),
        classes: [...(classes.get(name) ?? [])],
        licence,
        source,
      })),
      splits: { adapt: "adapt", val: "val", test: "test" },
    };
    const text = `# Made by \`npm run suite -- ${SUITE}\`; record.json has settings, times and hashes.\n${stringify(suite)}`;
    await writeFileAtomic(join(directory, variant.file), text);
  }
}
