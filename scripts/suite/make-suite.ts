/**
 * Makes a shipped suite from packages, by its recipe in the folder of that name; what it makes goes to datasets/<suite>.
 *
 *     npm run suite -- mini8
 *     npm run suite -- text8
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

/** A recipe takes what follows the suite's name, such as one of its parts. */
type Recipe = (part: string | undefined) => Promise<void>;

const RECIPES: ReadonlyMap<string, () => Promise<Recipe>> = new Map([
  ["mini8", async () => (await import("./mini8/make-suite.js")).makeMini8],
  ["text8", async () => (await import("./text8/make-suite.js")).makeText8],
]);

/** A recipe's own packages, which nothing else in the project needs. */
function installPackages(folder: string): void {
  if (!existsSync(join(folder, "package-lock.json"))) return;
  const { status } = spawnSync("npm", ["ci", "--silent"], { cwd: folder, stdio: "inherit" });
  if (status !== 0) throw new Error(`npm ci failed in ${folder}`);
}

const [suite = "", part] = process.argv.slice(2);
const load = RECIPES.get(suite);
if (load === undefined)
  throw new Error(
    `npm run suite -- <suite>: expected ${[...RECIPES.keys()].join(" or ")}, found ${suite || "nothing"}`,
  );
if (part === undefined) installPackages(join(import.meta.dirname, suite));
const make = await load();
await make(part);
