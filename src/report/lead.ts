/** The first lines of a run's page: what was learned, from which examples, and on which it is judged. */
import { z } from "zod";
import { HEADS_TITLES } from "../config/heads.js";
import type { RunConfig } from "../config/schema.js";
import { learnedHeads, learnedTitle, learnsCoefficients } from "../config/stages.js";
import { objectiveTitles, readsLabels } from "../objective/catalog.js";
import { escapeHtml } from "./html.js";
import { noticesOf } from "./notices.js";
import { grouped } from "./page/numbers.js";
import type { RunReport } from "./run-report.js";

/** Of environment.json: which examples the run had. */
const usedExamples = z.object({ data: z.array(z.object({ examples: z.number(), use: z.string() })) });

/** What was learned; of anything but coefficients with what the figures of coefficients show. */
function learnedOf(config: RunConfig): string {
  const inStages = config.stages === null ? "" : ` in ${config.stages.length} stages`;
  const ofHeads = [...new Set(learnedHeads(config))].map((heads) => ` and ${HEADS_TITLES[heads]}`).join("");
  if (learnsCoefficients(config)) return `${config.granularity} coefficients${ofHeads}${inStages}`;
  return `${learnedTitle(config)}${inStages} (figures show the coefficients nearest to them)`;
}

/** How many examples of all tasks were used for what; undefined in runs of earlier versions, which do not say. */
function countOf({ environment }: RunReport, use: "adapted on" | "judged"): number | undefined {
  const found = usedExamples.safeParse(environment);
  const own = found.success ? found.data.data.filter((one) => one.use === use) : [];
  return own.length === 0 ? undefined : own.reduce((sum, { examples }) => sum + examples, 0);
}

/** The paragraphs, as HTML, with what is to be noticed of the run. */
export function lead(report: RunReport): string {
  const { config, status, summary, examples: given } = report;
  const { adapt_split, eval_split, adapt_limit, adapt_per_class } = config.data;
  const examples = escapeHtml(given);
  const labels = readsLabels(config) ? "with their labels" : "without their labels";
  const [number, whole] = adapt_per_class === null ? [adapt_limit, "task"] : [adapt_per_class, "class"];
  const most = number === null ? undefined : `at most ${number} ${examples} per ${whole}`;
  const what =
    `${learnedOf(config)}, ${objectiveTitles(config, (name) => name.replaceAll("_", " "))}, ${status.step} of ${config.steps} steps` +
    `${summary === undefined ? "" : ` on ${summary.suite}`}${status.error === undefined ? "" : `: ${status.error}`}`;
  const ofSplit = (use: "adapted on" | "judged", split: string): string => {
    const count = countOf(report, use);
    return `${count === undefined ? "" : `${grouped(count)} ${examples} of `}the split <code>${escapeHtml(split)}</code>`;
  };
  const learned = `Learned from ${ofSplit("adapted on", adapt_split)}${most === undefined ? "" : ` (${most})`}, ${labels}`;
  const adapted =
    eval_split === null
      ? `<p class="warning">${learned}. Nothing was judged: without labels there are entropies, and no accuracies.</p>`
      : adapt_split === eval_split
        ? `<p class="warning">Transductive: the coefficients were learned on ${most ?? `the ${examples}`} of <code>${escapeHtml(eval_split)}</code> that they are judged on, ${labels}${readsLabels(config) ? ": an upper bound" : ", as the paper does"}.</p>`
        : `<p>${learned}; judged on ${ofSplit("judged", eval_split)}.</p>`;
  const notices = (summary === undefined ? [] : noticesOf(summary, config)).map(
    (notice) => `\n<p class="warning">${escapeHtml(notice)}.</p>`,
  );
  return `<p class="lead">${escapeHtml(what)}</p>\n${adapted}${notices.join("")}`;
}
