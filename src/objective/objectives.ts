/**
 * The registry of objectives. Adding one: a file beside this one, its facts in catalog.ts, its name in config/objective-names.ts and a line here;
 * programs add theirs with `addObjective`. B images, C classes.
 */
import { allowObjectiveName } from "../config/objective-names.js";
import { type Tensor, tf } from "../engine/tf.js";
import { assert, ConfigError } from "../errors.js";
import { noteExtension } from "../runtime/extensions.js";
import { addObjectiveFacts, isObjective, type ObjectiveFacts, type ObjectiveName, objectiveFacts } from "./catalog.js";
import { checkedObjective } from "./checked-objective.js";
import { targetCrossEntropy } from "./cross-entropy.js";
import { type DivergenceKind, expertDivergence, pseudoLabelLoss } from "./divergence.js";
import { meanEntropy } from "./entropy.js";
import { featureL1, featureL2 } from "./feature-distance.js";

/** The section `objective` of a config, as far as losses read it. */
export interface ObjectiveOptions {
  /** How entropies take logarithms: of a log-softmax, or of probabilities plus `epsilon` as the official code does. */
  readonly form: "log_softmax" | "epsilon";
  readonly epsilon: number;
  /** By which logits are divided, and the expert's were. Default: 1. */
  readonly temperature?: number;
  /** Of `expert_divergence`. Default: kl. */
  readonly divergence?: DivergenceKind;
}

export interface ObjectiveSpec extends ObjectiveFacts {
  /**
   * Scalar loss of one task in the objective's unit, mean over its images; `targetsBC` are probabilities where the objective has targets. With
   * targets "expert_features" both are features [B, E].
   */
  readonly loss: (logitsBC: Tensor, options: ObjectiveOptions, targetsBC?: Tensor) => Tensor;
}

const entropy: ObjectiveSpec["loss"] = (logitsBC, { form, epsilon }) =>
  meanEntropy(logitsBC, form === "epsilon" ? { form, epsilon } : { form });

/** Those of the package. */
export const objectives = {
  entropy: { ...objectiveFacts.entropy, loss: entropy },
  normalized_entropy: {
    ...objectiveFacts.normalized_entropy,
    loss: (logitsBC, options) =>
      tf.mul(entropy(logitsBC, options), tf.scalar(1 / Math.log(Math.max(2, logitsBC.shape[1] ?? 2)))),
  },
  expert_divergence: {
    ...objectiveFacts.expert_divergence,
    loss: (logitsBC, { divergence, temperature }, targetsBC) =>
      expertDivergence(logitsBC, required(targetsBC), divergence, temperature),
  },
  pseudo_label: {
    ...objectiveFacts.pseudo_label,
    loss: (logitsBC, _options, targetsBC) => pseudoLabelLoss(logitsBC, required(targetsBC)),
  },
  feature_l1: {
    ...objectiveFacts.feature_l1,
    loss: (featuresBE, _options, targetsBE) => featureL1(featuresBE, required(targetsBE)),
  },
  feature_l2: {
    ...objectiveFacts.feature_l2,
    loss: (featuresBE, _options, targetsBE) => featureL2(featuresBE, required(targetsBE)),
  },
  cross_entropy: {
    ...objectiveFacts.cross_entropy,
    loss: (logitsBC, _options, targetsBC) => targetCrossEntropy(logitsBC, required(targetsBC)),
  },
} as const satisfies Record<keyof typeof objectiveFacts, ObjectiveSpec>;

const known = new Map<ObjectiveName, ObjectiveSpec>(Object.entries(objectives));

/** Of the objective of a config, which has been checked. */
export function objectiveOf(name: ObjectiveName): ObjectiveSpec {
  const found = known.get(name);
  assert(found !== undefined, `no objective ${name}`);
  return found;
}

/** An objective from outside the package. */
export interface OutsideObjective extends ObjectiveSpec {
  /** As configs have it. */
  readonly name: ObjectiveName;
}

/** Adds an objective, which configs may then name. Throws ConfigError for what is none, and for a name that is taken. */
export function addObjective(objective: OutsideObjective): void {
  const { name, ...spec } = checkedObjective(objective);
  if (isObjective(name))
    throw new ConfigError(
      `addObjective: name: expected one that no objective has yet, found ${name}. Give the objective another name`,
    );
  noteExtension("objective", name);
  allowObjectiveName(name);
  addObjectiveFacts(name, spec);
  known.set(name, spec);
}

function required(targetsBC: Tensor | undefined): Tensor {
  if (targetsBC === undefined) throw new RangeError("this objective needs targets; the step was built without them");
  return targetsBC;
}
