/**
 * Which @fontsource families are used where. The letters task and the pretraining glyphs share none, and no
 * superfamily stands on both sides (Roboto and Roboto Mono are both for pretraining). Left out: families whose
 * capitals are no letters (bar codes, icons), and large East Asian ones.
 */

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
  }).map(([kind, names]) => [kind, names.split(" ")]),
);

/** Families of the pretraining glyphs; each is used for every script that it has. */
export const GLYPH_FAMILIES: readonly string[] = (
  "inter roboto open-sans source-sans-3 noto-sans noto-serif ibm-plex-sans fira-sans jetbrains-mono pt-sans pt-serif " +
  "ubuntu comfortaa play philosopher lobster marck-script bad-script neucha russo-one oswald rubik montserrat alegreya " +
  "eb-garamond literata gfs-didot vollkorn exo-2 caveat pacifico press-start-2p commissioner manrope roboto-slab " +
  "roboto-mono yeseva-one amatic-sc arimo tinos cousine heebo assistant frank-ruhl-libre varela-round suez-one " +
  "noto-sans-hebrew noto-naskh-arabic noto-kufi-arabic noto-sans-arabic cairo amiri tajawal almarai changa el-messiri " +
  "lateef lalezar lemonada reem-kufi vazirmatn scheherazade-new aref-ruqaa readex-pro baloo-bhaijaan-2 sarabun prompt " +
  "kanit noto-sans-thai noto-serif-thai k2d bai-jamjuree chakra-petch itim sriracha fahkwang taviraj " +
  "ibm-plex-sans-thai mukta hind poppins noto-sans-devanagari baloo-2 kalam khand teko rajdhani martel halant " +
  "yantramanav modak"
).split(" ");

/**
 * Characters of the two pretraining alphabets, one class each. Without those that look like a Latin capital or
 * like another class once scaled to one size (Greek Alpha, Cyrillic Ve, most Cyrillic lower case), without
 * strokes and rings (Hebrew Vav and Samekh, Arabic Alef, Thai Ro Ruea), and without characters few fonts have.
 */
export const PRETRAIN_ALPHABETS: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    "glyphs-european":
      "ΓΔΘΛΞΠΣΦΨΩ" + // Greek capitals
      "αδεζηθλμξπσφψ" + // Greek lower case
      "БДЖЗИЙЛЦЧШЩЪЫЬЭЮЯЂЉЊЋЄ" + // Cyrillic capitals
      "бђћ", // Cyrillic lower case of another form
    "glyphs-eastern":
      "אבגדהחטיכלמנעפצקרשתךף" + // Hebrew
      "بتثجحخدذرزسشصضطظعغفقكلمنهوي" + // Arabic, isolated
      "กขคฆงจฉชซฌญฎฏฐฑฒณดตถธปผฝฟภมยลวศษสฬอฮ" + // Thai
      "अइउएकखगघचछजझञटठडढणतथदधनपफबभमयरलवशषसह", // Devanagari
  }).map(([name, characters]) => [name, [...characters]]),
);
