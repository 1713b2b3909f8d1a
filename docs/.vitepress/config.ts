/**
 * The site of the docs: `npm run docs` builds it into docs/.vitepress/dist. Pages are the Markdown files beside this folder as they stand, the API pages,
 * and the data sheets of the suites. A link that leads nowhere fails the build.
 */
import { posix } from "node:path";
import { defineConfig } from "vitepress";
import { sidebar } from "./sidebar.js";

/** Pages of the repository that the site shows from outside docs/: data sheets and licences of the suites. */
const SHEET = /^\.\.\/(datasets\/[\w-]+\/[A-Z]+)\.md$/;

export default defineConfig({
  title: "adamerge",
  description: "Learns how much of each fine-tuned model goes into each layer of one merged model",
  // A host that serves the files need rewrite no address.
  cleanUrls: false,
  lastUpdated: false,
  markdown: {
    config: (md) => {
      // Indented code gets what fenced code has: a box that scrolls within itself, and a button to copy.
      md.core.ruler.push("indented", ({ tokens }) => {
        for (const token of tokens) if (token.type === "code_block") token.type = "fence";
      });
      md.core.ruler.push("sheets", ({ tokens, env }) => {
        // Headings are read once more on their own, without the page they are of.
        if (typeof env.relativePath !== "string") return;
        for (const token of tokens.flatMap(({ children }) => children ?? [])) {
          const sheet = SHEET.exec(posix.join(posix.dirname(env.relativePath), token.attrGet("href") ?? ""))?.[1];
          if (sheet !== undefined) token.attrSet("href", `/${sheet}.md`);
        }
      });
    },
  },
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    nav: [
      { text: "Quickstart", link: "/quickstart" },
      { text: "Results", link: "/results" },
      { text: "Commands", link: "/reference/command-line" },
      { text: "API", link: "/api/" },
    ],
    sidebar: sidebar(),
  },
});
