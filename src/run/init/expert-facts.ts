/** What is to be known of experts before they are merged: what differs from the base, how far, and how good each is alone. */

import { derivationRatios } from "../../checkpoint/derivation.js";
import { towerTensors } from "../../checkpoint/layout/tower-names.js";
import type { RunConfig } from "../../config/schema.js";
import { type ExampleStore, isLabelled, selectExamples } from "../../data/examples.js";
import type { KindName } from "../../data/kind.js";
import { kindOf } from "../../data/kinds.js";
import { drawnIndices } from "../../data/sampler.js";
import { openExpert } from "../../model/open-models.js";
import { chooseMethod } from "../judge/choose-method.js";
import { judgeMethod } from "../judge/judge-models.js";
import type { Inputs } from "../session/inputs.js";
import type { Session } from "../session/session.js";

/** What `init` found out about one expert. */
export interface ExpertFacts {
  readonly name: string;
  /** Of the tower: all; equal to the base's; absent, so taken from the base. */
  readonly tensors: number;
  readonly equal: number;
  readonly fromBase: number;
  /** Norm of the difference to the base over the base's, over the matrices. */
  readonly distance: number;
  /** On at most 200 judged examples: the expert, the base with the same head, and always naming the most frequent class. Undefined without labels. */
  readonly accuracyPercent: { readonly expert: number; readonly base: number; readonly constant: number } | undefined;
}

/** Examples per task that the experts are judged on: enough to see a wrong head. */
const JUDGED_EXAMPLES = 200;
/** A good expert lies at least this far from a constant answer to perfection. */
const LEAST_GAIN = 0.25;

export async function expertFacts(config: RunConfig, session: Session): Promise<readonly ExpertFacts[]> {
  const { inputs, evaluation } = session;
  const distances = await derivationRatios(inputs.bundle);
  const examples = new Map<string, ExampleStore>();
  for (const [task, store] of evaluation.examples)
    examples.set(task, selectExamples(store, drawnIndices(store.size, JUDGED_EXAMPLES, { seed: 0, task })));
  const some = { ...evaluation, examples };
  const accuracies = async (method: string) =>
    (await judgeMethod(config, inputs, chooseMethod(method), some)).row.tasks;
  const isJudged = config.data.eval_split !== null;
  const expert = isJudged ? await accuracies("individual") : {};
  const base = isJudged ? await accuracies("pretrained") : {};
  const facts: ExpertFacts[] = [];
  for (const [index, { name, expert: path }] of inputs.tasks.entries()) {
    const [own, ofBase] = [expert[name], base[name]];
    const store = examples.get(name);
    const constant = store !== undefined && isLabelled(store) ? largestShare(store.labels) : undefined;
    facts.push({
      name,
      ...(await comparedTensors(inputs, path)),
      distance: distances[index] ?? 0,
      accuracyPercent:
        own === undefined || ofBase === undefined || constant === undefined
          ? undefined
          : { expert: own, base: ofBase, constant },
    });
  }
  return facts;
}

/**
 * A sentence for every expert that is hardly better than a constant answer (its head or its classes are not what they seem), or worse than the base
 * under the same head: merging can bring nothing of it.
 */
export function suspiciousExperts(experts: readonly ExpertFacts[], kind: KindName): readonly string[] {
  const { many } = kindOf(kind);
  return experts.flatMap(({ name, accuracyPercent }) => {
    if (accuracyPercent === undefined) return [];
    const { expert, base, constant } = accuracyPercent;
    const found = `the expert of ${name} with its head is right on ${expert.toFixed(1)} % of its own ${many}`;
    if (expert <= constant + LEAST_GAIN * (100 - constant))
      return [
        `${found}, a constant answer on ${constant.toFixed(1)} %: the head's rows may be in another order than the classes in suite.yaml (give --classes ${name}=FILE), or expert, head and ${many} do not belong together`,
      ];
    return expert < base
      ? [
          `${found}, the base with that head on ${base.toFixed(1)} %: a merge can gain nothing from this expert; train it longer or on more ${many}`,
        ]
      : [];
  });
}

function largestShare(labels: Int32Array): number {
  const counts = new Map<number, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return (100 * Math.max(...counts.values())) / labels.length;
}

/** By content hashes; tensors of another dtype than the base's count as different. */
async function comparedTensors(
  { base, bundle, model }: Inputs,
  path: string,
): Promise<Pick<ExpertFacts, "tensors" | "equal" | "fromBase">> {
  const own = await openExpert(path, base);
  const [ownNames, baseNames] = [own, base].map(
    ({ tensors, path: of }) => towerTensors(model.layout, tensors.keys(), of).names,
  );
  let [equal, fromBase] = [0, 0];
  for (const { name } of bundle.tensors) {
    const [stored, inBase] = [ownNames?.get(name), baseNames?.get(name)];
    if (stored === undefined || inBase === undefined) fromBase += 1;
    else if ((await own.tensorSha256s([stored]))[0] === (await base.tensorSha256s([inBase]))[0]) equal += 1;
  }
  return { tensors: bundle.tensors.length, equal, fromBase };
}
