/**
 * What runs in a report when a person opens it: tables are sorted and filtered, explanations shown, the section in view is marked. The page is
 * complete without it. The build bundles this folder into dist/report/page/browser/page.js, which every report carries inline; it fetches nothing.
 */
import { markSectionInView } from "./contents.js";
import { addFilters } from "./filters.js";
import { addSorting } from "./sorting.js";
import { addTooltips } from "./tooltips.js";

for (const table of document.querySelectorAll<HTMLTableElement>("table.data")) {
  addSorting(table);
  addFilters(table);
}
addTooltips();
markSectionInView();
