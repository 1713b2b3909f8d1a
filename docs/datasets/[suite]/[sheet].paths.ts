/** The data sheets and licences in datasets/ as pages of the site: docs/ links to them where they lie in the repository. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const DATASETS = join(import.meta.dirname, "..", "..", "..", "datasets");

/** The texts of the licences are files of the repository, not pages: they are named, not linked. */
const content = (suite: string, sheet: string) =>
  readFileSync(join(DATASETS, suite, `${sheet}.md`), "utf8").replaceAll(
    /\[notice\]\((licences\/[^)]+)\)/g,
    (_, file: string) => `notice: \`datasets/${suite}/${file}\``,
  );

export default {
  paths: () =>
    ["mini8", "text8"].flatMap((suite) =>
      ["DATASHEET", "LICENSES"].map((sheet) => ({ params: { suite, sheet }, content: content(suite, sheet) })),
    ),
};
