/**
 * Runs before the install scripts of dependencies when adamerge is installed as a package. onnxruntime-node's own script fetches CUDA libraries (half a
 * gigabyte) from outside the registry on every Linux machine, and the whole installation fails where that server cannot be reached. Its first line is
 * made to leave that out unless ONNXRUNTIME_NODE_INSTALL asks for it; called by hand, as `adamerge doctor` advises for CUDA, it fetches them as before.
 * Nothing here may fail an installation: where the script is not found or cannot be changed, everything stays as it is.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const MARK = "// adamerge: no CUDA libraries unless asked for";
const SKIP =
  'if (process.env.npm_lifecycle_event === "postinstall" && !/^(npm_config_)?onnxruntime_node_install/im.test(Object.keys(process.env).join("\\n"))) process.exit(0);';

try {
  const manifest = createRequire(import.meta.url).resolve("onnxruntime-node/package.json");
  const script = path.join(path.dirname(manifest), "script", "install.js");
  const text = readFileSync(script, "utf8");
  if (!text.startsWith(MARK)) {
    // A new file: package managers share theirs between projects by hard links.
    writeFileSync(`${script}.new`, `${MARK}\n${SKIP}\n${text}`);
    renameSync(`${script}.new`, script);
  }
} catch {
  // Not there (yet), or not to be changed.
}
