/** The sidebar of the site names every page of docs/ once, and no other; each has a heading to take its title from. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { GROUPS } from "../docs/.vitepress/sidebar.js";
import { ROOT } from "./support/cli.js";

/** Reached by the site's name, and from docs/suites.md. */
const ELSEWHERE = /^(index$|datasets\/)/;

it("the sidebar names every page of docs/ and no other", () => {
  const pages = readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md") && !name.startsWith("api"))
    .map((name) => name.replaceAll("\\", "/").replace(/\.md$/, ""))
    .filter((page) => !ELSEWHERE.test(page));
  // Pages of the exports are made at each build, and found from their own index.
  expect([...GROUPS.values()].flat().sort()).toEqual([...pages, "api/index"].sort());
});
