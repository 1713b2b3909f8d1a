/** The first page of the help: verbs by what one wants to do, where yargs has one list of all. */
import { folded } from "./folded.js";
import type { Verb } from "./verb.js";

/** In the order in which people come to need them. */
const GROUPS = [
  ["start", "Start"],
  ["learn", "Learn coefficients"],
  ["merge", "Merge and use models"],
  ["study", "Study and compare"],
  ["machine", "This machine"],
] as const;
export type VerbGroup = (typeof GROUPS)[number][0];

type Entry = Pick<Verb, "name" | "describe" | "group">;

const HEADING = "Commands:";
const GAP = 2;

/** The page of yargs with its list of commands in groups. `columns`: of the page. */
export function groupedHelp(page: string, verbs: readonly Entry[], columns: number): string {
  const lines = page.split("\n");
  const from = lines.indexOf(HEADING);
  if (from < 0) return page;
  const length = lines.slice(from).indexOf("");
  const width = Math.max(...verbs.map(({ name }) => name.length));
  const groups = GROUPS.flatMap(([group, title]) => {
    const own = verbs.filter((verb) => verb.group === group);
    return [`${title}:`, ...own.flatMap((verb) => entry(verb, width, columns)), ""];
  });
  return [...lines.slice(0, from), ...groups, ...lines.slice(from + Math.max(1, length + 1))].join("\n");
}

/** One verb, its sentence broken into lines where it is long. */
function entry({ name, describe }: Entry, width: number, columns: number): readonly string[] {
  const indent = GAP + width + GAP;
  const lines = folded(describe, columns - indent);
  return lines.map((line, index) => `${" ".repeat(GAP)}${(index === 0 ? name : "").padEnd(width + GAP)}${line}`);
}
