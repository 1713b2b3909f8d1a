/**
 * Which tensors share a coefficient. A grouping maps every merged tensor to one of L groups; the compiled step always
 * takes one coefficient per tensor and task, so all granularities run the same graph.
 * Source: AdaMerging (task-wise and layer-wise, a "layer" is one parameter tensor), aTLAS (blocks).
 */
import { ConfigError } from "../errors.js";
import { blockPlace, lastBlocks } from "./depth.js";

export type Granularity = "task-wise" | "block-wise" | "layer-wise" | "groups";

export interface GroupPattern {
  readonly name: string;
  readonly match: readonly string[];
}

export interface GroupingOptions {
  readonly granularity: Granularity;
  readonly groups: readonly GroupPattern[];
  readonly shareQkv: boolean;
}

export interface Grouping {
  /** Group names, in order of first use: the L axis of coefficients. */
  readonly groups: readonly string[];
  /** The merged tensors, in model order. */
  readonly tensors: readonly string[];
  /** For each tensor the index of its group. */
  readonly groupOf: readonly number[];
}

const REST = "rest";

/** Assigns each tensor to a group. Throws ConfigError when a pattern of `groups` takes no tensor. */
export function groupTensors(tensors: readonly string[], options: GroupingOptions): Grouping {
  const nameOf = namer(options, tensors);
  const indices = new Map<string, number>();
  const groupOf = tensors.map((tensor) => {
    const name = nameOf(tensor);
    const index = indices.get(name) ?? indices.size;
    indices.set(name, index);
    return index;
  });
  if (options.granularity === "groups") {
    for (const { name, match } of options.groups) {
      if (indices.has(name)) continue;
      throw new ConfigError(
        `groups: the group ${name} (${match.join(", ")}) takes no tensor; earlier groups win, and names look like ${tensors[0] ?? "(none)"}`,
      );
    }
  }
  return { groups: [...indices.keys()], tensors, groupOf };
}

function namer(
  { granularity, groups, shareQkv }: GroupingOptions,
  tensors: readonly string[],
): (tensor: string) => string {
  switch (granularity) {
    case "task-wise":
      return () => "all";
    case "block-wise":
      return blockGroup(lastBlocks(tensors).size > 1);
    case "layer-wise":
      return shareQkv ? withSharedQkv : (tensor) => tensor;
    case "groups": {
      const matchers = groups.map(({ name, match }) => ({ name, patterns: match.map(globToRegExp) }));
      return (tensor) =>
        matchers.find(({ patterns }) => patterns.some((pattern) => pattern.test(tensor)))?.name ?? REST;
    }
    default:
      return granularity satisfies never;
  }
}

/** Embeddings and the first norm form `embeddings`; the last norm and the projection form `output`. Of several stacks, each has blocks of its own. */
function blockGroup(hasStacks: boolean): (tensor: string) => string {
  return (tensor) => {
    const place = blockPlace(tensor);
    if (place !== undefined) return `${hasStacks ? place.stack : "block"}.${place.block}`;
    return tensor.includes(".embeddings.") || tensor.includes(".pre_layrnorm.") ? "embeddings" : "output";
  };
}

/** open_clip fuses q, k and v into one `in_proj` tensor, which is one layer in the paper. */
function withSharedQkv(tensor: string): string {
  return tensor.replace(/\.self_attn\.[qkv]_proj\./, ".self_attn.qkv_proj.");
}

/** `*` matches any run of characters (dots included), `?` one; everything else itself. */
function globToRegExp(glob: string): RegExp {
  const escaped = glob.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replace(/\*/g, ".*").replace(/\?/g, ".")}$`);
}
