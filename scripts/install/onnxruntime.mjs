/**
 * Runs before the install scripts of dependencies when adamerge is installed as a package, and spares the machine two things of onnxruntime-node:
 * - its own script fetches CUDA libraries (half a gigabyte) from outside the registry on every Linux machine, and the whole installation fails where
 *   that server cannot be reached. Its first line is made to leave that out unless ONNXRUNTIME_NODE_INSTALL asks for it; called by hand, as
 *   `adamerge doctor` advises for CUDA, it fetches them as before;
 * - it is published with the binaries of five platforms in one package. Four are removed (240 MB), as if they were optional packages like sharp's: by
 *   npm only, the one for --os and --cpu stays, and nothing goes when any other package of the tree needs onnxruntime-node.
 * Nothing here may fail an installation: where something is not found or cannot be changed, or scripts are off, everything stays as it is.
 */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const MARK = "// adamerge: no CUDA libraries unless asked for";
const SKIP =
  'if (process.env.npm_lifecycle_event === "postinstall" && !/^(npm_config_)?onnxruntime_node_install/im.test(Object.keys(process.env).join("\\n"))) process.exit(0);';
const NAME = "onnxruntime-node";
const OURS = "adamerge";

try {
  const folder = path.dirname(createRequire(import.meta.url).resolve(`${NAME}/package.json`));
  leaveOutCuda(path.join(folder, "script", "install.js"));
  if (process.env.npm_config_user_agent?.startsWith("npm/")) keepOnePlatform(folder);
} catch {
  // Not there (yet), or not to be changed.
}

function leaveOutCuda(script) {
  const text = readFileSync(script, "utf8");
  if (text.startsWith(MARK)) return;
  // A new file: package managers share theirs between projects by hard links.
  writeFileSync(`${script}.new`, `${MARK}\n${SKIP}\n${text}`);
  renameSync(`${script}.new`, script);
}

function keepOnePlatform(folder) {
  const { npm_config_os: system = process.platform, npm_config_cpu: cpu = process.arch } = process.env;
  const binaries = path.join(folder, "bin", "napi-v6");
  if (!existsSync(path.join(binaries, system, cpu, "onnxruntime_binding.node"))) return;
  const modules = path.dirname(folder);
  if (path.basename(modules) !== "node_modules" || isNeededByOthers(modules)) return;
  for (const other of readdirSync(binaries))
    for (const kind of readdirSync(path.join(binaries, other)))
      if (other !== system || kind !== cpu) rmSync(path.join(binaries, other, kind), { recursive: true });
}

/** Whether a package in `modules`, at any depth, or the project around it asks for onnxruntime-node besides us. */
function isNeededByOthers(modules) {
  if (asksForIt(path.dirname(modules))) return true;
  const names = readdirSync(modules).flatMap((name) =>
    name.startsWith("@") ? readdirSync(path.join(modules, name)).map((inner) => path.join(name, inner)) : [name],
  );
  return names.some((name) => {
    const inner = path.join(modules, name, "node_modules");
    return asksForIt(path.join(modules, name)) || (existsSync(inner) && isNeededByOthers(inner));
  });
}

function asksForIt(folder) {
  const manifest = path.join(folder, "package.json");
  if (!existsSync(manifest)) return false;
  const { name, ...sections } = JSON.parse(readFileSync(manifest, "utf8"));
  if (name === OURS) return false;
  return ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"].some(
    (section) => sections[section]?.[NAME] !== undefined && !(section === "devDependencies" && isInstalled(folder)),
  );
}

/** Development dependencies of packages that were installed are not in the tree. */
function isInstalled(folder) {
  return folder.split(path.sep).includes("node_modules");
}
