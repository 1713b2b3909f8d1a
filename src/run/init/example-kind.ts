/** What the examples of an init are: what the base's family takes, where the base is here; else what an expert's does, or what they were given as. */
import type { Checkpoint } from "../../checkpoint/checkpoint.js";
import { readConfig } from "../../checkpoint/checkpoint.js";
import type { KindName } from "../../data/kind.js";
import { kindOf } from "../../data/kinds.js";
import { ConfigError } from "../../errors.js";
import { familyOf } from "../../model/families.js";
import type { GivenExamples } from "./example-sources.js";

const KIND_OF_FLAG = { "--images": "image", "--texts": "text", "--data": undefined } as const;

interface Given {
  readonly base: string;
  readonly experts: readonly { readonly path: string }[];
  readonly examples: readonly GivenExamples[];
}

/** `opened`: the base, where it is here. Throws ConfigError where nothing tells, CheckpointError for a model of no known family. */
export async function exampleKind(
  { base, experts, examples }: Given,
  opened: Pick<Checkpoint, "config"> | undefined,
): Promise<KindName> {
  if (opened !== undefined) return familyOf(opened.config, base).kind;
  const [said] = examples.flatMap(({ flag }) => KIND_OF_FLAG[flag] ?? []);
  if (said !== undefined) return said;
  for (const { path } of experts) {
    const config = await readConfig(path).catch(() => undefined);
    if (typeof config === "object" && config !== null && "model_type" in config) return familyOf(config, path).kind;
  }
  throw new ConfigError(
    `--data: expected to know what the base ${base} takes, found neither it nor an expert's config.json here; say --images or --texts instead`,
  );
}

/** Throws ConfigError for examples that were given as another kind than the models take. */
export function requireKind({ base, examples }: Given, kind: KindName): void {
  const { many } = kindOf(kind);
  for (const { name, flag } of examples) {
    const said = KIND_OF_FLAG[flag];
    if (said !== undefined && said !== kind)
      throw new ConfigError(
        `${flag} ${name}: expected ${many}, which the base ${base} takes, found ${kindOf(said).many}; give --${many} ${name}=PATH, or a base that takes ${kindOf(said).many}`,
      );
  }
}
