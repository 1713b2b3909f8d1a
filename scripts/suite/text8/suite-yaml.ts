/** The suite.yaml files of text8: the suite itself, its second expert seed, the unseen tasks, the experts before truncation, and experts trained as LoRA. */
import { join } from "node:path";
import { stringify } from "yaml";
import { writeFileAtomic } from "../../../src/runtime/atomic-file.js";
import { SUITE, TEXT_TASKS, type TextTaskPlan, UNSEEN_TASKS } from "./plan.js";
import { FULL, LOGIT_SCALE, LORA_EXPERTS, MAX_TOKENS } from "./training-plan.js";

interface Variant {
  readonly file: string;
  readonly name: string;
  readonly title: string;
  readonly tasks: readonly TextTaskPlan[];
  /** Folder of the experts. */
  readonly experts: string;
  readonly multitask?: string;
  /** What must be done before it can be used. */
  readonly note?: string;
}

const TITLE = "Eight real text tasks with all-MiniLM-L6-v2";

const VARIANTS: readonly Variant[] = [
  { file: "suite.yaml", name: SUITE, title: TITLE, tasks: TEXT_TASKS, experts: "experts", multitask: "multitask" },
  {
    file: "suite-seed2.yaml",
    name: `${SUITE}-seed2`,
    title: `${TITLE}, experts of another seed`,
    tasks: TEXT_TASKS,
    experts: "experts-seed2",
    multitask: "multitask",
  },
  {
    file: "suite-unseen.yaml",
    name: `${SUITE}-unseen`,
    title: `Two text tasks that no expert of ${SUITE} has seen`,
    tasks: UNSEEN_TASKS,
    experts: "experts-unseen",
  },
  {
    file: "suite-full.yaml",
    name: `${SUITE}-full`,
    title: `${TITLE}, experts in full`,
    tasks: TEXT_TASKS,
    experts: `${FULL}/experts`,
    multitask: `${FULL}/multitask`,
    note: `Its experts do not ship: \`npm run suite -- ${SUITE}\` makes them.`,
  },
  {
    file: "suite-lora.yaml",
    name: `${SUITE}-lora`,
    title: `${TITLE}, experts trained as LoRA`,
    tasks: TEXT_TASKS,
    experts: LORA_EXPERTS.folder,
    multitask: "multitask",
    note: `Its experts do not ship: \`npm run suite -- ${SUITE} lora\` makes them.`,
  },
];

/** Writes all of them to `directory`, datasets/text8. */
export async function writeSuiteFiles(directory: string): Promise<void> {
  for (const { file, name, title, tasks, experts, multitask, note } of VARIANTS) {
    const suite = {
      name,
      title,
      base: "base",
      ...(multitask === undefined ? {} : { multitask }),
      logit_scale: LOGIT_SCALE,
      max_length: MAX_TOKENS,
      tasks: tasks.map((task) => ({
        name: task.name,
        title: task.title,
        dataset: `tasks/${task.name}`,
        expert: `${experts}/${task.name}`,
        head: `heads/${task.name}.safetensors`,
        classes: [...task.classes],
        licence: task.licence,
        source: task.source,
      })),
      splits: { adapt: "adapt", val: "val", test: "test" },
    };
    const made = `# Made by \`npm run suite -- ${SUITE}\`; record.json has settings, times and hashes.\n`;
    const comment = note === undefined ? made : `${made}# ${note}\n`;
    await writeFileAtomic(join(directory, file), `${comment}${stringify(suite)}`);
  }
}
