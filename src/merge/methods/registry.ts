/** All training-free merging methods, by name. A new one is a file beside this one and a line here; programs add theirs with `addMergeMethod`. */
import { ConfigError } from "../../errors.js";
import { noteExtension } from "../../runtime/extensions.js";
import { breadcrumbs } from "./breadcrumbs.js";
import { cart } from "./cart.js";
import { checkedMethod } from "./checked-method.js";
import { consensus } from "./consensus.js";
import { dareLinear, dareTies } from "./dare.js";
import { emr } from "./emr.js";
import { fisher } from "./fisher.js";
import { fwHard } from "./frank-wolfe.js";
import { knots } from "./knots.js";
import { linear, taskArithmetic, weightAveraging } from "./linear.js";
import { lines } from "./lines.js";
import { lot } from "./lot.js";
import type { MergeMethod } from "./method.js";
import { pcb } from "./pcb.js";
import { regmean, regmeanPp } from "./regmean.js";
import { sce } from "./sce.js";
import { isoC, isoCts, svc, tsvM } from "./spectral.js";
import { tallMask } from "./tall-mask.js";
import { ties } from "./ties.js";
import { wudi } from "./wudi.js";

const methods = new Map<string, MergeMethod>(
  [
    weightAveraging,
    linear,
    taskArithmetic,
    ties,
    dareLinear,
    dareTies,
    breadcrumbs,
    consensus,
    fisher,
    regmean,
    regmeanPp,
    lot,
    fwHard,
    pcb,
    lines,
    sce,
    wudi,
    tsvM,
    isoC,
    isoCts,
    svc,
    knots,
    cart,
    tallMask,
    emr,
  ].map((method) => [method.name, method]),
);

export const mergeMethods: ReadonlyMap<string, MergeMethod> = methods;

/** Adds a method from outside the package. Throws ConfigError for what is none, and for a name that is taken. */
export function addMergeMethod(found: unknown): void {
  const method = checkedMethod(found);
  if (methods.has(method.name))
    throw new ConfigError(
      `addMethod: name: expected one that no method has yet, found ${method.name}. Give the method another name`,
    );
  noteExtension("method", method.name);
  methods.set(method.name, method);
}
