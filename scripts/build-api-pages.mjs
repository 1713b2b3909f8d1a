/**
 * `node scripts/build-api-pages.mjs [FOLDER]`: the pages of docs/api/, which TypeDoc makes of the comments in dist/index.d.ts. Ends with
 * code 1 for an export without a comment, a link that leads nowhere, and a type that is shown but not exported. Plain JavaScript, since
 * building needs nothing built.
 */
import { existsSync, readdirSync } from "node:fs";
import { register } from "node:module";
import { join, resolve } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const [given] = process.argv.slice(2);
const OUTPUT = given === undefined ? join(ROOT, "docs", "api") : resolve(given);
// TypeDoc empties the folder first.
if (given !== undefined && existsSync(OUTPUT) && readdirSync(OUTPUT).length > 0)
  throw new Error(`${OUTPUT}: expected an empty folder for the API pages, found files in it. Choose another`);
/** Schemas, which their types stand for, and what programs neither make nor look into. */
const NOT_EXPORTED = [
  ...["classifierHeadSchema", "prototypesHeadSchema", "zeroShotHeadSchema"],
  ...["CheckpointFile", "Executable", "Program", "Nested", "NeedsClass", "LabelUse", "SplitPart", "TrainState"],
  ...["StoppingState", "HeadsState"],
];

// TypeDoc needs the JavaScript interface of the compiler, which TypeScript 7 does not have.
const hook = `export const resolve = (name, context, next) => next(name === "typescript" ? "typescript-6" : name, context);`;
register(`data:text/javascript,${encodeURIComponent(hook)}`, import.meta.url);
const { Application, LogLevel } = await import("typedoc");

const application = await Application.bootstrapWithPlugins({
  plugin: ["typedoc-plugin-markdown"],
  entryPoints: [join(ROOT, "dist", "index.d.ts")],
  tsconfig: join(import.meta.dirname, "docs", "tsconfig.json"),
  // The build has checked the types.
  skipErrorChecking: true,
  name: "adamerge",
  readme: "none",
  disableSources: true,
  // zod, which is exported for the settings of methods, has pages of its own.
  excludeExternals: true,
  validation: { notExported: true, invalidLink: true, invalidPath: true, notDocumented: false },
  intentionallyNotExported: NOT_EXPORTED,
  groupOrder: ["Functions", "Interfaces", "Type Aliases", "Variables", "Classes"],
  useCodeBlocks: true,
  parametersFormat: "table",
  interfacePropertiesFormat: "table",
  typeAliasPropertiesFormat: "table",
  logLevel: LogLevel.Warn,
  entryFileName: "index",
  // The site has a heading of its own.
  hidePageHeader: true,
  out: OUTPUT,
});
const project = await application.convert();
if (project !== undefined) {
  application.validate(project);
  for (const entry of project.children ?? []) {
    const said = entry.signatures ?? [entry];
    if (!entry.isReference() && !said.every((one) => one.hasComment() || entry.hasComment()))
      application.logger.warn(`${entry.name}: expected a comment in the sources, found none`);
  }
  await application.generateOutputs(project);
}
const { errorCount, warningCount } = application.logger;
process.exitCode = errorCount + warningCount > 0 ? 1 : 0;
