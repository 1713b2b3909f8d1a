/** `npm run docs:reference`: writes docs/reference. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../../src/runtime/atomic-file.js";
import { referencePages } from "./reference.js";

const FOLDER = join(import.meta.dirname, "..", "..", "docs", "reference");

await mkdir(FOLDER, { recursive: true });
for (const [name, text] of await referencePages()) await writeFileAtomic(join(FOLDER, name), text);
