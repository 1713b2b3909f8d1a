/** DATASHEET.md of a suite, from the measures in datasheet.json and CLIP's published values. */
import { PATH_ALPHAS, type TowerFacts } from "./datasheet.js";

/** ViT-B/32, average of the eight tasks in percent: Yang et al. 2024 (arXiv:2310.02575), table 1. */
const CLIP = { pretrained: 48.0, individual: 90.5, multitask: 88.9 } as const;

export interface DatasheetFacts {
  /** Its name. */
  readonly suite: string;
  /** What was decided by these measures while the suite was made, in a sentence or two. */
  readonly decisions: string;
  readonly tasks: readonly string[];
  readonly classes: Readonly<Record<string, number>>;
  /** By directory of the tower, "" for the suite's own. */
  readonly towers: Readonly<Record<string, TowerFacts>>;
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** A Markdown table with numbers on the right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(header), line(header.map((_, index) => (index === 0 ? "---" : "---:"))), ...rows.map(line), ""];
}

/** The whole text; `sections` are lines behind the comparison with CLIP. */
export function datasheetText(facts: DatasheetFacts, sections: readonly string[] = []): string {
  const { suite, decisions, tasks, classes, towers } = facts;
  const main = towers[""];
  if (main === undefined) throw new Error("datasheet: no facts of the suite's own tower");
  const lines = [
    `# Datasheet of ${suite}`,
    "",
    `Made by \`npm run suite -- ${suite}\`; the numbers are in \`datasheet.json\`, settings, times and hashes in \`record.json\`.`,
    decisions,
    "",
    "## What stands beside CLIP ViT-B/32",
    "",
    ...besideClip(suite, main),
    ...sections,
  ];
  for (const [directory, facts] of Object.entries(towers))
    lines.push(
      ...towerText(directory === "" ? "Tower" : `Tower \`${directory}\`, which does not ship`, tasks, classes, facts),
    );
  return `${lines.join("\n").trimEnd()}\n`;
}

function besideClip(suite: string, facts: TowerFacts): string[] {
  const average = (model: string): string => mean(Object.values(facts.accuracyTest[model] ?? {})).toFixed(1);
  const off = facts.cosines.flatMap((row, i) => row.filter((_, j) => j > i));
  const ratios = Object.values(facts.normRatio.experts ?? {});
  return [
    ...table(
      ["", suite, "CLIP ViT-B/32"],
      [
        ["pretrained, average accuracy on test (%)", average("pretrained"), CLIP.pretrained.toFixed(1)],
        ["individual experts", average("experts"), CLIP.individual.toFixed(1)],
        ["multi-task model", average("multitask"), CLIP.multitask.toFixed(1)],
        [
          "cosine between task vectors, mean and largest",
          `${mean(off).toFixed(3)}, ${Math.max(...off).toFixed(3)}`,
          "near 0 (a)",
        ],
        [
          "norm of a task vector over norm of the base",
          `${Math.min(...ratios).toFixed(3)} to ${Math.max(...ratios).toFixed(3)}`,
          "not published",
        ],
        [
          "largest barrier from base to expert (nats)",
          Math.max(...Object.values(facts.paths).map(({ barrier }) => barrier)).toFixed(3),
          "not published",
        ],
      ],
    ),
    "Accuracies of CLIP: Yang et al. 2024, arXiv:2310.02575. (a) Ilharco et al. 2023, arXiv:2212.04089: close to orthogonal,",
    "related tasks somewhat less so.",
    "",
  ];
}

function towerText(
  title: string,
  tasks: readonly string[],
  classes: Readonly<Record<string, number>>,
  facts: TowerFacts,
): string[] {
  const perTask = (values: Readonly<Record<string, number>>, digits: number, withMean: boolean): string[] => [
    ...tasks.map((task) => values[task]?.toFixed(digits) ?? "-"),
    withMean ? mean(tasks.map((task) => values[task] ?? Number.NaN)).toFixed(digits) : "",
  ];
  const models = Object.keys(facts.accuracyTest);
  const parts = Object.keys(facts.depth[tasks[0] ?? ""] ?? {});
  return [
    `## ${title}: ${facts.parameters.toLocaleString("en")} parameters, logit scale ${facts.logitScale}`,
    "",
    "Accuracy in percent on `test`:",
    "",
    ...table(
      ["", ...tasks, "average"],
      [
        ["classes", ...tasks.map((task) => String(classes[task] ?? "-")), ""],
        ...models.map((model) => [model, ...perTask(facts.accuracyTest[model] ?? {}, 1, true)]),
      ],
    ),
    "Entropy on `test` as a share of log C:",
    "",
    ...table(
      ["", ...tasks, "average"],
      models.map((model) => [model, ...perTask(facts.entropyShareTest[model] ?? {}, 2, true)]),
    ),
    "Task vectors: norm over the norm of the base, and cosine between the two seeds of one task:",
    "",
    ...table(
      ["", ...tasks, "average"],
      [
        ...Object.entries(facts.normRatio).map(([seed, values]) => [seed, ...perTask(values, 3, true)]),
        ...(Object.keys(facts.seedCosines).length > 0
          ? [["cosine of seeds", ...perTask(facts.seedCosines, 2, true)]]
          : []),
      ],
    ),
    "Cosines between task vectors:",
    "",
    ...table(
      ["", ...tasks],
      tasks.map((task, index) => [task, ...(facts.cosines[index] ?? []).map((value) => value.toFixed(2))]),
    ),
    "Depth profile: norm of the change over norm of the base, by depth:",
    "",
    ...table(
      ["", ...tasks, "average"],
      parts.map((part) => [
        part,
        ...perTask(Object.fromEntries(tasks.map((task) => [task, facts.depth[task]?.[part] ?? Number.NaN])), 3, true),
      ]),
    ),
    "Loss on `val` in nats on the way from base (0) to expert (1), and the barrier: how far it rises above the straight line:",
    "",
    ...table(
      ["", ...PATH_ALPHAS.map(String), "barrier"],
      tasks.map((task) => [
        task,
        ...(facts.paths[task]?.loss ?? []).map((value) => value.toFixed(2)),
        facts.paths[task]?.barrier.toFixed(3) ?? "-",
      ]),
    ),
  ];
}
