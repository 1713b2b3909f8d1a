/**
 * Which @fontsource families are used where. No two of the pools share a family, and no superfamily stands in two (Roboto and
 * Roboto Mono are both for pretraining); `checkPools` says so. Left out: families whose capitals are no letters (bar
 * codes, icons), and large East Asian ones.
 */
import { DataError } from "../../../src/errors.js";

const split = (names: string): readonly string[] => names.split(" ");

/** Families that draw the task's characters alike, as a superfamily does: all of them go to train. */
export const RELATED_KIND = "related";

/** Families of the `letters` task, by kind; each split gets some of every kind. */
export const LETTER_FAMILIES: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    sans:
      "abel actor aldrich alata archivo-narrow barlow cabin catamaran chivo dosis figtree josefin-sans lato lexend " +
      "maven-pro michroma questrial quicksand raleway signika tenor-sans titillium-web work-sans overpass urbanist " +
      "krona-one",
    serif:
      "abhaya-libre adamina arvo bree-serif cinzel cormorant-garamond crimson-text domine esteban gelasio " +
      "headland-one libre-baskerville libre-caslon-text lora lustria playfair-display prata quattrocento rokkitt " +
      "rufina slabo-27px volkhov zilla-slab unna patua-one im-fell-english bodoni-moda dm-serif-display",
    mono:
      "anonymous-pro azeret-mono b612-mono dm-mono inconsolata space-mono share-tech-mono courier-prime victor-mono " +
      "vt323",
    handwriting:
      "architects-daughter annie-use-your-telescope caveat-brush cookie courgette covered-by-your-grace " +
      "dancing-script gloria-hallelujah gochi-hand handlee indie-flower kaushan-script patrick-hand permanent-marker " +
      "reenie-beanie rock-salt satisfy schoolbell shadows-into-light short-stack delius the-girl-next-door",
    display:
      "abril-fatface acme alfa-slab-one audiowide bangers bebas-neue black-ops-one bowlby-one-sc bubblegum-sans " +
      "bungee carter-one chewy creepster finger-paint fjalla-one germania-one goldman graduate iceland knewave " +
      "lilita-one londrina-solid luckiest-guy medievalsharp mouse-memoirs nova-square orbitron passion-one righteous " +
      "saira-stencil-one shrikhand silkscreen special-elite staatliches titan-one uncial-antiqua zen-dots",
  }).map(([kind, names]) => [kind, split(names)]),
);

/** Families of the `thai` task; most draw the letters with loops, some (as in Latin type) without. */
export const THAI_FAMILIES: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    looped:
      "sarabun mali kodchasan niramit krub athiti charm charmonman trirong taviraj maitree pridi koho fahkwang itim " +
      "sriracha playpen-sans-thai noto-serif-thai k2d bai-jamjuree",
    loopless: "kanit prompt mitr chonburi pattaya chakra-petch",
    // Anuphan is made from IBM Plex Sans Thai.
    [RELATED_KIND]: "ibm-plex-sans-thai ibm-plex-sans-thai-looped anuphan noto-sans-thai noto-sans-thai-looped",
  }).map(([kind, names]) => [kind, split(names)]),
);

/**
 * Families of the `hebrew` task, which is never merged. Without cursive and Rashi letters (Gveret Levin, Solitreo,
 * Playpen Sans, Noto Rashi), which are other shapes of the same names.
 */
export const HEBREW_FAMILIES: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    text:
      "alef assistant bellefair bona-nova cardo david-libre frank-ruhl-libre heebo ibm-plex-sans-hebrew miriam-libre " +
      "noto-sans-hebrew noto-serif-hebrew secular-one suez-one tinos varela-round fredoka",
    display: "amatic-sc handjet karantina",
    // One design with several surfaces; few of them, so that it does not dominate train.
    [RELATED_KIND]: "rubik rubik-bubbles rubik-dirt rubik-distressed rubik-gemstones rubik-wet-paint",
  }).map(([kind, names]) => [kind, split(names)]),
);

/** Families of the `digits` task: as on house numbers, price tags and signs. */
export const DIGIT_FAMILIES: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    plain:
      "alexandria albert-sans asap bitter cantarell copse crete-round cuprum days-one " +
      "didact-gothic enriqueta epilogue hammersmith-one hepta-slab istok-web jost kreon lekton magra mate merriweather " +
      "metrophobic nunito oxygen podkova pontano-sans public-sans ropa-sans ruda sansita scada sora syncopate telex " +
      "trocchi ultra viga voltaire",
    display:
      "anton big-shoulders-display chango chelsea-market concert-one dela-gothic-one francois-one " +
      "fugaz-one gruppo holtwood-one-sc limelight oxanium pathway-gothic-one poiret-one racing-sans-one rammetto-one " +
      "sniglet squada-one yanone-kaffeesatz",
  }).map(([kind, names]) => [kind, split(names)]),
);

/** Families of the pretraining glyphs; each is used for every script that it has. */
export const GLYPH_FAMILIES: readonly string[] = split(
  "inter roboto open-sans source-sans-3 noto-sans noto-serif ibm-plex-sans fira-sans jetbrains-mono pt-sans pt-serif " +
    "ubuntu comfortaa play philosopher lobster marck-script bad-script neucha russo-one oswald montserrat alegreya " +
    "eb-garamond literata gfs-didot vollkorn exo-2 caveat pacifico press-start-2p commissioner manrope roboto-slab " +
    "roboto-mono yeseva-one arimo cousine noto-naskh-arabic noto-kufi-arabic noto-sans-arabic cairo amiri " +
    "tajawal almarai changa el-messiri lateef lalezar lemonada reem-kufi vazirmatn scheherazade-new aref-ruqaa " +
    "readex-pro baloo-bhaijaan-2 mukta hind poppins noto-sans-devanagari baloo-2 kalam khand teko rajdhani martel " +
    "halant yantramanav modak " +
    "noto-sans-tamil noto-serif-tamil hind-madurai baloo-thambi-2 mukta-malar arima kavivanar pavanam " +
    "noto-sans-bengali noto-serif-bengali anek-bangla hind-siliguri baloo-da-2 galada atma tiro-bangla " +
    "noto-sans-gujarati noto-serif-gujarati anek-gujarati hind-vadodara baloo-bhai-2 mukta-vaani rasa farsan mogra " +
    "noto-sans-telugu noto-serif-telugu anek-telugu hind-guntur mandali ramabhadra ntr",
);

/** Every pool with its families, in one list each. */
export const FAMILY_POOLS: ReadonlyMap<string, readonly string[]> = new Map([
  ["letters", [...LETTER_FAMILIES.values()].flat()],
  ["thai", [...THAI_FAMILIES.values()].flat()],
  ["hebrew", [...HEBREW_FAMILIES.values()].flat()],
  ["digits", [...DIGIT_FAMILIES.values()].flat()],
  ["pretraining", GLYPH_FAMILIES],
]);

/** Throws DataError when a family is in two pools, or twice in one. */
export function checkPools(): void {
  const owners = new Map<string, string>();
  for (const [pool, families] of FAMILY_POOLS)
    for (const family of families) {
      const owner = owners.get(family);
      if (owner !== undefined)
        throw new DataError(`font family ${family}: expected in one pool, found in ${owner} and ${pool}`);
      owners.set(family, pool);
    }
}

/**
 * Characters of the two pretraining alphabets, one class each. Without those that look like a Latin capital or
 * like another class once scaled to one size (Greek Alpha, Cyrillic Ve, most Cyrillic lower case), without
 * strokes and rings (Arabic Alef, Bengali and Tamil signs that are parts of others), and without characters few fonts have.
 */
export const PRETRAIN_ALPHABETS: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    "glyphs-european":
      "ΓΔΘΛΞΠΣΦΨΩ" + // Greek capitals
      "αδεζηθλμξπσφψ" + // Greek lower case
      "БДЖЗИЙЛЦЧШЩЪЫЬЭЮЯЂЉЊЋЄ" + // Cyrillic capitals
      "бђћ", // Cyrillic lower case of another form
    "glyphs-eastern":
      "بتثجحخدذرزسشصضطظعغفقكلمنهوي" + // Arabic, isolated
      "अइउएकखगघचछजझञटठडढणतथदधनपफबभमयरलवशषसह" + // Devanagari
      "அஆஇஉஊஎகஙசஞடணதநபமயரலவழளறன" + // Tamil
      "অইউএকখগঘচছজঝটঠডঢতথদধনপফবভমযলশষসহ" + // Bengali
      "અઇઉકખગચછજટડણતથદધનપફબભમયરલવશસહ" + // Gujarati
      "అఇఉఎకఖగఘచజటడణతదనపబమయరలవశసహ", // Telugu
  }).map(([name, characters]) => [name, [...characters]]),
);

/** Thai consonants, without the two that are obsolete and missing in some fonts (Kho Khuat, Kho Khon). */
export const THAI_LETTERS: readonly string[] = [..."กขคฆงจฉชซฌญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรลวศษสหฬอฮ"];

/**
 * Hebrew letters with the final forms; without Vav and Yod (strokes), Samekh (like the final Mem) and the final Kaf (Resh
 * and Dalet once scaled to one size).
 */
export const HEBREW_LETTERS: readonly string[] = [..."אבגדהזחטכלמנעפצקרשתםןףץ"];
