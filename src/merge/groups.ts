/**
 * Which tensors share a coefficient. A grouping maps every merged tensor to one of L groups; the compiled step always
 * takes one coefficient per tensor and task, so all granularities run the same graph.
 * Source: AdaMerging (task-wise and layer-wise, a "layer" is one parameter tensor), aTLAS (blocks).
 */
import type { Bundle } from "../checkpoint/bundle.js";
import { ConfigError } from "../errors.js";
import type { Model, ModelTensor } from "../model/family.js";
import { mergeableTensors } from "./merged-weights.js";

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

/** What a grouping asks of a tensor. */
export type GroupedTensor = Pick<ModelTensor, "name" | "block" | "stack" | "part" | "fusedAs">;

const REST = "rest";

/** Groups those of a model's tensors that a bundle has task vectors of. Throws ConfigError as `groupTensors`. */
export function groupMergeable(
  bundle: Bundle,
  { tensors }: Pick<Model, "tensors">,
  options: GroupingOptions,
): Grouping {
  const merged = new Set(mergeableTensors(bundle));
  return groupTensors(
    tensors.filter(({ name }) => merged.has(name)),
    options,
  );
}

/** Assigns each tensor to a group. Throws ConfigError when a pattern of `groups` takes no tensor. */
export function groupTensors(tensors: readonly GroupedTensor[], options: GroupingOptions): Grouping {
  const nameOf = namer(options);
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
        `groups: the group ${name} (${match.join(", ")}) takes no tensor; earlier groups win, and names look like ${tensors[0]?.name ?? "(none)"}`,
      );
    }
  }
  return { groups: [...indices.keys()], tensors: tensors.map(({ name }) => name), groupOf };
}

function namer({ granularity, groups, shareQkv }: GroupingOptions): (tensor: GroupedTensor) => string {
  switch (granularity) {
    case "task-wise":
      return () => "all";
    case "block-wise":
      return blockGroup;
    case "layer-wise":
      // The paper's own code has q, k and v fused in one tensor, which is one layer there.
      return ({ name, fusedAs }) => (shareQkv ? (fusedAs ?? name) : name);
    case "groups": {
      const matchers = groups.map(({ name, match }) => ({ name, patterns: match.map(globToRegExp) }));
      return (tensor) =>
        matchers.find(({ patterns }) => patterns.some((pattern) => pattern.test(tensor.name)))?.name ?? REST;
    }
    default:
      return granularity satisfies never;
  }
}

/** Embeddings and the first norm form `embeddings`; the last norm and the projection form `output`. Of several stacks, each has blocks of its own. */
function blockGroup({ block, stack = "block", part }: GroupedTensor): string {
  return block === undefined ? part : `${stack}.${block}`;
}

/** `*` matches any run of characters (dots included), `?` one; everything else itself. */
export function globToRegExp(glob: string): RegExp {
  const escaped = glob.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replace(/\*/g, ".*").replace(/\?/g, ".")}$`);
}
