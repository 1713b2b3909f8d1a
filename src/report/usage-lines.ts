/**
 * Lines of Python and of TypeScript that label with a merged model and its heads, for its card: they run as they stand
 * beside the model's folder. Features are the family's (`ModelFamily.python`), heads are read as their format says
 * (model/head-file.ts).
 */
import type { CardWords } from "../data/kind.js";
import type { PythonFeatures } from "../model/family.js";

export interface UsageInput {
  /** Where the model is from the card: ".", or "model" of a run. */
  readonly folder: string;
  /** A task for the example. */
  readonly task: string;
  /** That of its head's hidden layer, where it has one. */
  readonly activation: "tanh" | "relu" | undefined;
  /** Whether the head has an adapter of the features; default: no. */
  readonly hasAdapter?: boolean | undefined;
  readonly words: CardWords;
}

/** What `pip install` has to bring for the lines. */
export function pythonPackages({ library }: PythonFeatures, { python }: CardWords): readonly string[] {
  return ["torch", library, "safetensors", ...python.packages];
}

const ADAPTED =
  'features = features - torch.relu(features @ head.get_tensor("adapter.down").T) @ head.get_tensor("adapter.up").T';

export function pythonUsage(features: PythonFeatures, given: UsageInput): string {
  const { folder, task, activation, hasAdapter = false, words } = given;
  const needsTorch = (activation !== undefined || hasAdapter) && !features.imports.includes("import torch");
  const imports = [
    "import json",
    ...(needsTorch ? ["import torch"] : []),
    ...words.python.imports,
    "from safetensors import safe_open",
    ...features.imports,
  ];
  const hidden = `features = torch.${activation}(features @ head.get_tensor("hidden.weight").T + head.get_tensor("hidden.bias"))`;
  return [
    ...imports.toSorted((a, b) => Number(a.startsWith("from")) - Number(b.startsWith("from"))),
    "",
    // JSON's texts are Python's too.
    `folder, task = ${JSON.stringify(folder)}, ${JSON.stringify(task)}`,
    words.python.line,
    ...features.lines,
    'head = safe_open(f"{folder}/heads/{task}.safetensors", "pt")',
    ...(hasAdapter ? [ADAPTED] : []),
    ...(activation === undefined ? [] : [hidden]),
    'weight, bias, scale = (head.get_tensor(name) for name in ["weight", "bias", "logit_scale"])',
    'classes = json.loads(head.metadata()["classes"])',
    "for logits in scale * features @ weight.T + bias:",
    "    print(classes[logits.argmax()], logits.softmax(-1).max().item())",
  ].join("\n");
}

export function typescriptUsage({ folder, task, words }: Pick<UsageInput, "folder" | "task" | "words">): string {
  const given = `predict(${JSON.stringify(folder)}, ${words.typescript}, { tasks: [${JSON.stringify(task)}] })`;
  return [
    'import { predict } from "adamerge";',
    "",
    `for await (const row of ${given}) {`,
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a program's text.
    '  if ("error" in row) throw new Error(`${row.source}: ${row.error}`);',
    "  for (const { labels } of row.predictions) console.log(labels[0]?.label, labels[0]?.probability);",
    "}",
  ].join("\n");
}
