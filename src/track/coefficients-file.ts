/**
 * coefficients.json: what a fit learned, in a form other tools and people read at once.
 *
 *     {"granularity": ..., "tasks": [K names], "groups": [L names], "values": [K][L], "groupOf": {tensor: group}}
 */
import { z } from "zod";
import { CheckpointError } from "../errors.js";
import { parseBoundedJson } from "../runtime/bounded-json.js";

const schema = z
  .strictObject({
    granularity: z.string(),
    tasks: z.array(z.string()).min(1),
    groups: z.array(z.string()).min(1),
    /** lambda, [K tasks][L groups]: the factors of the task vectors, after clamp or softmax. */
    values: z.array(z.array(z.number())),
    /** Every merged tensor's group, by name. */
    groupOf: z.record(z.string(), z.string()).default({}),
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

export type CoefficientsRecord = Readonly<z.output<typeof schema>>;

/** The file's text: one row of values per line, so that files can be compared by eye and by diff. */
export function coefficientsText({ granularity, tasks, groups, values, groupOf }: CoefficientsRecord): string {
  const rows = values.map((row) => `    ${JSON.stringify(row)}`).join(",\n");
  return [
    "{",
    `  "granularity": ${JSON.stringify(granularity)},`,
    `  "tasks": ${JSON.stringify(tasks)},`,
    `  "groups": ${JSON.stringify(groups)},`,
    `  "values": [\n${rows}\n  ],`,
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
  let json: unknown;
  try {
    json = parseBoundedJson(text);
  } catch (cause) {
    throw new CheckpointError(`${label}: expected JSON as in a run's coefficients.json, found something else`, {
      cause,
    });
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const problems = result.error.issues.map(
    (issue) => `${issue.path.map(String).join(".") || "file"}: ${issue.message}`,
  );
  throw new CheckpointError(
    `${label}: not a coefficients.json: ${problems.join("; ")}. Use one that \`adamerge fit\` wrote`,
  );
}
