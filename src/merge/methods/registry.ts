/** All merging methods without learning, by name. A new one is a file beside this one and a line here. */
import { breadcrumbs } from "./breadcrumbs.js";
import { consensus } from "./consensus.js";
import { dareLinear, dareTies } from "./dare.js";
import { emr } from "./emr.js";
import { fisher } from "./fisher.js";
import { fwHard } from "./frank-wolfe.js";
import { linear, taskArithmetic, weightAveraging } from "./linear.js";
import { lines } from "./lines.js";
import type { MergeMethod } from "./method.js";
import { pcb } from "./pcb.js";
import { regmean, regmeanPp } from "./regmean.js";
import { sce } from "./sce.js";
import { isoC, tsvM } from "./spectral.js";
import { tallMask } from "./tall-mask.js";
import { ties } from "./ties.js";
import { wudi } from "./wudi.js";

export const mergeMethods: ReadonlyMap<string, MergeMethod> = new Map(
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
    fwHard,
    pcb,
    lines,
    sce,
    wudi,
    tsvM,
    isoC,
    tallMask,
    emr,
  ].map((method) => [method.name, method]),
);
