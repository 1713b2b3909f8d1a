/** The heads of a fit that learns them, on their way to where models are judged and to what the fit leaves. */

import type { Head } from "../../model/heads.js";
import { type HeadsState, headsOfState } from "../../optimize/learned-heads.js";
import type { EvaluateOptions } from "../session/evaluate-options.js";
import type { Inputs } from "../session/inputs.js";
import type { Learned } from "./judge-fit.js";

/** Those of a state of the fit; undefined where no stage has learned any until then. */
export function headsAt({ heads }: Pick<Inputs, "heads">, state: HeadsState | undefined): readonly Head[] | undefined {
  return state === undefined ? undefined : headsOfState(heads, state);
}

/** What a fit leaves of its heads: nothing where it learned none. */
export function learnedHeadsOf(
  inputs: Pick<Inputs, "heads">,
  { heads: state }: { readonly heads?: HeadsState },
): Pick<Learned, "heads"> {
  const heads = headsAt(inputs, state);
  return heads === undefined ? {} : { heads };
}

/**
 * Does `judge` with other heads in the compiled classifier, which has the suite's again afterwards: models that a fit is compared with have those. With
 * undefined nothing changes.
 */
export async function withHeads<T>(
  { inputs, evaluation }: { readonly inputs: Pick<Inputs, "heads">; readonly evaluation: EvaluateOptions },
  heads: readonly Head[] | undefined,
  judge: () => Promise<T>,
): Promise<T> {
  if (heads === undefined) return judge();
  await evaluation.classifier.setHeads(heads);
  try {
    return await judge();
  } finally {
    await evaluation.classifier.setHeads(inputs.heads);
  }
}
