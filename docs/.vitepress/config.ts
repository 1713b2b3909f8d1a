/** The site of the docs: `npm run docs` builds it into docs/.vitepress/dist. The pages are the Markdown files beside it, as they stand. */
import { defineConfig } from "vitepress";

const page = (text: string, link: string) => ({ text, link });

export default defineConfig({
  title: "adamerge",
  description: "Learns how much of each fine-tuned model goes into each layer of one merged model",
  // Works from any folder of any host, and from the disk.
  base: "./",
  cleanUrls: false,
  lastUpdated: false,
  // Data sheets and licences lie in the source tree, not on the site.
  ignoreDeadLinks: [/^(\.\/)*\.\.\/datasets\//, /^(\.\/)*\.\.\/(ARCHITECTURE|CHANGELOG|README)/],
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    nav: [page("Quickstart", "/quickstart"), page("Results", "/results"), page("Reference", "/reference/command-line")],
    sidebar: [
      {
        text: "Start",
        items: [
          page("Quickstart", "/quickstart"),
          page("Your own models", "/own-models"),
          page("Merge files", "/merge-files"),
          page("Configuration", "/configuration"),
          page("Troubleshooting", "/troubleshooting"),
        ],
      },
      {
        text: "Use",
        items: [
          page("Heads of a merged model", "/heads"),
          page("ONNX export", "/onnx"),
          page("The hub", "/hub"),
          page("Runs and tracking", "/tracking"),
          page("Engines, GPUs, memory", "/engines"),
          page("Library", "/library"),
        ],
      },
      {
        text: "Study",
        items: [
          page("Results", "/results"),
          page("Experiments", "/experiments"),
          page("Suites", "/suites"),
          page("CLIP suites", "/clip"),
          page("Performance", "/performance"),
          page("Verification", "/verification"),
          page("Glossary", "/glossary"),
        ],
      },
      {
        text: "Extend",
        items: [
          page("A merging method", "/extending/method"),
          page("An objective", "/extending/objective"),
          page("A data reader", "/extending/reader"),
          page("A family of models", "/extending/family"),
        ],
      },
      {
        text: "Reference",
        items: [
          page("Command line", "/reference/command-line"),
          page("Configuration keys", "/reference/config"),
          page("Training-free methods", "/reference/methods"),
        ],
      },
    ],
  },
});
