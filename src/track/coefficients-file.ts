/**
 * coefficients.json: what a fit learned, in a form other tools and people read at once.
 *
 *     {"granularity": ..., "tasks": [K names], "groups": [L names], "values": [K][L], "groupOf": {tensor: group}}
 *
 * With `nearest` where something else was learned than coefficients, and `heads` where heads were learned too, which no values can say: the run's
 * model has it.
 */
import { z } from "zod";
import { CheckpointError } from "../errors.js";
import { parseJsonText } from "../runtime/json-file.js";
import { readText } from "../runtime/regular-file.js";

/** Some 100 tasks of 10,000 tensors take a tenth of it. */
const MOST_BYTES = 2 ** 28;

const schema = z
  .strictObject({
    granularity: z.string(),
    tasks: z.array(z.string()).min(1),
    groups: z.array(z.string()).min(1),
    /** lambda, [K tasks][L groups]: the factors of the task vectors, after clamp or softmax. */
    values: z.array(z.array(z.number())),
    /** Every merged tensor's group, by name. */
    groupOf: z.record(z.string(), z.string()).default({}),
    /**
     * What was learned instead of coefficients, by a config's `parametrisation`; the values are then those nearest to it, and `outside`
     * [L] the share of each tensor's change that no coefficients give.
     */
    nearest: z.strictObject({ parametrisation: z.string(), outside: z.array(z.number()) }).exactOptional(),
    /** What of the tasks' heads was learned with them, stage by stage; the coefficients alone are then not the model. */
    heads: z
      .array(z.enum(["trained", "surgery"]))
      .min(1)
      .exactOptional(),
  })
  .superRefine(({ tasks, groups, values }, context) => {
    const found = values.find((row) => row.length !== groups.length);
    if (values.length !== tasks.length) {
      const message = `expected a row for each of the ${tasks.length} tasks, found ${values.length} rows`;
      context.addIssue({ code: "custom", path: ["values"], message });
    } else if (found !== undefined) {
      const message = `expected rows of ${groups.length} values, one per group, found one of ${found.length}`;
      context.addIssue({ code: "custom", path: ["values"], message });
    }
  });

/**
 * coefficients.json: K tasks, L groups of tensors, `values` [K][L] (the factors of the task vectors), and the group
 * of each tensor.
 *
 * @interface
 */
export type CoefficientsRecord = Readonly<z.output<typeof schema>>;

/** The file's text: one row of values per line, so that files can be compared by eye and by diff. */
export function coefficientsText(record: CoefficientsRecord): string {
  const { granularity, tasks, groups, values, groupOf, nearest, heads } = record;
  const rows = values.map((row) => `    ${JSON.stringify(row)}`).join(",\n");
  return [
    "{",
    `  "granularity": ${JSON.stringify(granularity)},`,
    `  "tasks": ${JSON.stringify(tasks)},`,
    `  "groups": ${JSON.stringify(groups)},`,
    `  "values": [\n${rows}\n  ],`,
    ...(nearest === undefined ? [] : [`  "nearest": ${JSON.stringify(nearest)},`]),
    ...(heads === undefined ? [] : [`  "heads": ${JSON.stringify(heads)},`]),
    `  "groupOf": ${JSON.stringify(groupOf, undefined, 2).replaceAll("\n", "\n  ")}`,
    "}\n",
  ].join("\n");
}

/**
 * Reads the text of a coefficients.json; `label` is the file as shown to people.
 *
 * @throws CheckpointError with what was expected and found
 */
export function parseCoefficients(text: string, label: string): CoefficientsRecord {
  return parseJsonText(text, label, {
    what: "a coefficients.json",
    schema,
    advice: "use one that `adamerge fit` wrote",
    Failure: CheckpointError,
  });
}

/** Reads a coefficients.json. Throws CheckpointError as `parseCoefficients`, and for what is no regular file. */
export async function readCoefficients(path: string): Promise<CoefficientsRecord> {
  return parseCoefficients(await readText(path, "a coefficients.json", MOST_BYTES, CheckpointError), path);
}

/** Throws CheckpointError for a record of a run that learned heads too: what is merged with the coefficients alone would not be its model. */
export function requireOwnHeads({ heads }: CoefficientsRecord, label: string): void {
  if (heads === undefined) return;
  throw new CheckpointError(
    `${label}: expected coefficients that were learned under the suite's heads, found a run that learned heads too (heads ${heads.join(", then ")}), which the file does not have; use the \`model\` folder of the run`,
  );
}

/** Throws CheckpointError for a record of a run that did not learn coefficients: nothing can be merged with the nearest ones. */
export function requireCoefficients({ nearest }: CoefficientsRecord, label: string): void {
  if (nearest === undefined) return;
  throw new CheckpointError(
    `${label}: expected coefficients that were learned, found those nearest to what parametrisation ${nearest.parametrisation} learned, which are not its model; use the \`model\` folder of the run`,
  );
}
