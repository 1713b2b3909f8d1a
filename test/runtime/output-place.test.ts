/** Outputs: apart from inputs whatever they are called by, over nothing but what we wrote, and old or new at every moment. */
import { link, mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigError } from "../../src/errors.js";
import { settleReplaced, withAtomicDirectory } from "../../src/runtime/atomic-file.js";
import { requireApart, requireFilePlace, requireFolderPlace } from "../../src/runtime/output-place.js";
import { changedFiles, MANIFEST, ownFiles, removeOwnFiles, writeManifest } from "../../src/runtime/own-files.js";

let folder: string;
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "adamerge-place-")));
  await mkdir(join(folder, "models", "one"), { recursive: true });
  await writeFile(join(folder, "models", "one", "w"), "weights");
  await writeFile(join(folder, "m.yaml"), "models: []");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const at = (...parts: string[]) => join(folder, ...parts);
const inputs = () => [
  { path: at("models", "one"), what: "the model one" },
  { path: at("m.yaml"), what: "the merge file" },
];

describe("an output", () => {
  it.each([
    ["models/one", "is the model one"],
    ["models", "holds the model one"],
    ["models/one/out", "lies in the model one"],
    ["models/one/a/b", "lies in the model one"],
    ["models/two/../one", "is the model one"],
    [".", "holds the model one"],
    ["..", "holds the model one"],
    ["m.yaml", "is the merge file"],
    ["link", "is the model one"],
    ["link/out", "lies in the model one"],
    ["up/models", "holds the model one"],
    ["hard", "is the merge file"],
  ])("%s %s: refused", async (output, relation) => {
    await symlink(at("models", "one"), at("link"));
    await symlink(folder, at("up"));
    await link(at("m.yaml"), at("hard"));
    await expect(requireApart(at(output), `--output ${output}`, inputs())).rejects.toThrow(
      new RegExp(
        `^--output ${output.replaceAll(".", "\\.")}: expected a place apart from what is read, found one that ${relation}`,
      ),
    );
  });

  it.each(["out", "models/two", "models/one-more", "m.yaml.d"])("%s: apart", async (output) => {
    await requireApart(at(output), output, inputs());
  });

  it("must be apart from what an input is a link to, and from what its links lead to", async () => {
    await mkdir(at("store"));
    await writeFile(at("store", "real.yaml"), "");
    await writeFile(at("store", "weights"), "");
    await mkdir(at("jobs"));
    await symlink(at("store", "real.yaml"), at("jobs", "m.yaml"));
    await symlink(at("store", "weights"), at("models", "one", "linked"));
    const job = [{ path: at("jobs", "m.yaml"), what: "the merge file" }];
    await expect(requireApart(at("store"), "o", job)).rejects.toThrow("holds the merge file");
    await expect(requireApart(at("jobs"), "o", job)).rejects.toThrow("holds the merge file");
    await expect(requireApart(at("store"), "o", inputs())).rejects.toThrow("holds the model one's linked");
  });
});

describe("a folder of results", () => {
  const rules = (overwrite: boolean) => ({ shown: "--output out", inputs: inputs(), overwrite });
  const fill = (text: string) => async (path: string) => {
    await mkdir(join(path, "sub"));
    await writeFile(join(path, "sub", "file"), text);
    await writeFile(join(path, "big"), Buffer.alloc(17 * 1024 * 1024, text));
  };
  const put = (text: string, replace?: object) =>
    withAtomicDirectory(at("out"), fill(text), { manifest: true, ...(replace === undefined ? {} : { replace }) });

  it("may be new or empty, and replaced when all in it is ours", async () => {
    await requireFolderPlace(at("out"), rules(false));
    await put("old");
    await expect(requireFolderPlace(at("out"), rules(false))).rejects.toThrow(
      "--output out: expected a new or empty folder for the result, found 2 entries (big, sub); choose another --output, or --overwrite",
    );
    await requireFolderPlace(at("out"), rules(true));
    await put("new", {});
    expect(await readFile(at("out", "sub", "file"), "utf8")).toBe("new");
    expect((await readdir(folder)).sort()).toEqual(["m.yaml", "models", "out"]);
  });

  const changes: readonly (readonly [string, () => Promise<unknown>, string])[] = [
    ["another file", () => writeFile(at("out", "notes"), "x"), "notes"],
    ["a file in a folder of ours", () => writeFile(at("out", "sub", "notes"), "x"), "sub/notes"],
    ["an empty folder", () => mkdir(at("out", "more")), "more/"],
    ["a hidden folder", () => mkdir(at("out", ".git")), ".git/"],
    ["a link", () => symlink(at("nothing"), at("out", "root")), "root (a link)"],
    ["a changed file", () => writeFile(at("out", "sub", "file"), "OLD"), "sub/file (changed since it was written)"],
    [
      "a large file written again",
      () => writeFile(at("out", "big"), Buffer.alloc(17 * 1024 * 1024, "x")),
      "big (changed since it was written)",
    ],
    [
      "a link for a file",
      async () => {
        await rename(at("out", "sub", "file"), at("kept"));
        await symlink(at("kept"), at("out", "sub", "file"));
      },
      "sub/file (a link)",
    ],
  ];
  it.each(changes)("is not replaced with %s in it", async (_what, change, named) => {
    await put("old");
    await change();
    const before = await readdir(at("out"), { recursive: true });
    const text = `expected only files that adamerge wrote, since overwriting removes them, found others: ${named}. Nothing was removed`;
    await expect(requireFolderPlace(at("out"), rules(true))).rejects.toThrow(text);
    await expect(put("new", {})).rejects.toThrow(text);
    expect(await readdir(at("out"), { recursive: true })).toEqual(before);
    expect((await readdir(folder)).filter((name) => /tmp|replaced/.test(name))).toEqual([]);
  });

  it("is not replaced when a manifest of somebody names other places, or is none", async () => {
    await mkdir(at("out"));
    await writeFile(at("out", "a"), "a");
    const facts = { bytes: 10, modified: "0" };
    await writeFile(at("out", MANIFEST), JSON.stringify({ format: 1, files: [["../m.yaml", facts]] }));
    await expect(put("new", {})).rejects.toThrow("found others: a.");
    expect(await changedFiles(at("out"))).toEqual([]);
    await removeOwnFiles(at("out"), ["../m.yaml"]).catch(() => undefined);
    await writeFile(at("out", MANIFEST), "{");
    await expect(put("new", {})).rejects.toThrow(
      /adamerge-files\.json: expected the list of files that adamerge wrote, found something else/,
    );
    expect(await readFile(at("m.yaml"), "utf8")).toBe("models: []");
  });

  it.each(["a file", "a link", "a link to nothing"])("is not %s", async (what) => {
    if (what === "a file") await writeFile(at("out"), "mine");
    else await symlink(what === "a link" ? at("models") : at("nothing"), at("out"));
    await expect(requireFolderPlace(at("out"), { ...rules(true), inputs: [] })).rejects.toThrow(
      what === "a file" ? "found a file. Nothing was written" : /found a link to .*; give the path itself/,
    );
    await expect(put("new", {})).rejects.toThrow(/expected a folder or a new name, found a (?:file|link)/);
  });

  it("that a kill left moved aside comes back, or goes when the new one is there", async () => {
    await put("old");
    await rename(at("out"), at("out.replaced-12345678"));
    await settleReplaced(at("out"), {});
    expect(await readFile(at("out", "sub", "file"), "utf8")).toBe("old");
    await rename(at("out"), at("out.replaced-12345678"));
    await put("new");
    // Half of it is gone already, as after a kill in the removal.
    await rm(at("out.replaced-12345678", "big"));
    await settleReplaced(at("out"), {});
    expect((await readdir(folder)).sort()).toEqual(["m.yaml", "models", "out"]);
    expect(await readFile(at("out", "sub", "file"), "utf8")).toBe("new");
    await mkdir(at("out.replaced-theirs"));
    await writeFile(at("out.replaced-theirs", "mine"), "");
    await settleReplaced(at("out"), {});
    expect(await readdir(at("out.replaced-theirs"))).toEqual(["mine"]);
  });

  it("loses nothing that came into it while it was replaced", async () => {
    await put("old");
    const { own } = await ownFiles(at("out"));
    await writeFile(at("out", "sub", "late"), "theirs");
    await writeFile(at("out", "sub", "file"), "changed");
    expect(await removeOwnFiles(at("out"), own)).toBe(false);
    expect((await readdir(at("out", "sub"))).sort()).toEqual(["file", "late"]);
  });

  it("has a manifest of what is listed", async () => {
    await mkdir(at("out"));
    for (const name of ["a", "b", "lock"]) await writeFile(at("out", name), name);
    await writeManifest(at("out"), { names: ["a"], passing: ["lock"] });
    expect(await ownFiles(at("out"))).toMatchObject({ own: [MANIFEST, "a", "lock"], foreign: ["b"] });
    await rm(at("out", "b"));
    await rm(at("out", "lock"));
    expect(await ownFiles(at("out"))).toEqual({ own: [MANIFEST, "a"], foreign: [], isWhole: true });
  });
});

describe("a file of results", () => {
  const require = (name: string, overwrite = false) =>
    requireFilePlace(at(name), { shown: `--output ${name}`, inputs: inputs(), overwrite });

  it("has a new name, or may be replaced", async () => {
    await require("new.npy");
    await writeFile(at("old.npy"), "");
    await expect(require("old.npy")).rejects.toThrow(
      "--output old.npy: expected a new name, found a file. Choose another name, or --overwrite",
    );
    await require("old.npy", true);
    await expect(require("m.yaml", true)).rejects.toThrow("is the merge file");
    await expect(require("models/one/w", true)).rejects.toThrow("lies in the model one");
    await expect(require("models", true)).rejects.toThrow("found a folder. Nothing was written");
    await symlink(at("nothing"), at("link"));
    await expect(require("link", true)).rejects.toThrow(ConfigError);
  });
});
