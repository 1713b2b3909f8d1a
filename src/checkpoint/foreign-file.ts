/**
 * Says what a file is that was given as safetensors and is not: the usual mistakes are a git-lfs pointer
 * (cloned without lfs), a saved error page, and a PyTorch pickle. Only looks at the first bytes.
 */

/** How many first bytes `describeForeignFile` wants to see. */
export const SNIFF_BYTES = 512;

interface Kind {
  readonly test: (bytes: Uint8Array, text: string) => boolean;
  readonly is: string;
  readonly action: string;
}

const CONVERTER = "scripts/convert/torch-modules.py of this project";
/** What to do about files that only Python can open. */
export const CONVERT_MODULE = `Convert it to safetensors where Python and PyTorch are installed: ${CONVERTER} reads its tensors and runs none of its code`;

/** A pickle (protocol 2) of the number 0x1950a86a20f9469cfc6c. */
const LEGACY_MAGIC = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/** The type of a value and its number; for objects the length of the version too. */
const TORCH7_OBJECT = [4, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0];
const TORCH7_TABLE = [3, 0, 0, 0, 1, 0, 0, 0];

const KINDS: readonly Kind[] = [
  {
    test: (_, text) => text.startsWith("version https://git-lfs"),
    is: "a git-lfs pointer, not the file itself",
    action: "Run `git lfs pull` in that repository, or download the file from the hub",
  },
  {
    test: (_, text) => /^\s*<(!doctype|html|\?xml)/i.test(text),
    is: "an HTML or XML page, probably a saved error page",
    action: "Download the file again, and log in if the repository asks for it",
  },
  {
    test: (bytes) => startsWith(bytes, [0x50, 0x4b, 0x03, 0x04]),
    is: "a zip archive, as PyTorch writes .pt and .bin files",
    action: "Give it the ending .pt if it is a PyTorch file, so that it is read as one",
  },
  {
    test: (bytes) => startsWith(bytes, LEGACY_MAGIC),
    is: "a file of the format that PyTorch wrote before version 1.6",
    action: CONVERT_MODULE,
  },
  {
    test: (bytes) => bytes[0] === 0x80 && (bytes[1] ?? 0) >= 2 && (bytes[1] ?? 9) <= 5,
    is: "a Python pickle",
    action: CONVERT_MODULE,
  },
  {
    test: (bytes) => startsWith(bytes, [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c]),
    is: "a 7z archive",
    action: "Unpack it, and give the model's file in it",
  },
  {
    test: (bytes) => startsWith(bytes, [0x1f, 0x8b]),
    is: "gzip-compressed",
    action: "Decompress it with gunzip first",
  },
  {
    test: (bytes) => startsWith(bytes, [0x28, 0xb5, 0x2f, 0xfd]) || startsWith(bytes, [0xfd, 0x37, 0x7a, 0x58, 0x5a]),
    is: "zstd- or xz-compressed",
    action: "Decompress it first",
  },
  {
    test: (_, text) => text.slice(257, 262) === "ustar",
    is: "a tar archive, perhaps of the first versions of PyTorch",
    action: `Unpack it, and give the model's file in it; one of PyTorch is converted with ${CONVERTER}`,
  },
  {
    // Its first bytes as a length are over the limit, so that no valid file is asked.
    test: (_, text) => /^\s*\{\s*"/.test(text),
    is: "JSON text, perhaps the index or config of a checkpoint",
    action: "Give the folder it is in, or the .safetensors file itself",
  },
  {
    // An object with a version, or a table; in binary and as text. As the length of a safetensors header both are over the limit.
    test: (bytes, text) =>
      [TORCH7_OBJECT, TORCH7_TABLE].some((magic) => startsWith(bytes, magic)) ||
      /^(?:4\n1\n3\nV 1\n|3\n1\n)/.test(text),
    is: "a file of Torch 7 (.t7, Lua)",
    action: "Use safetensors or PyTorch files of the model",
  },
  { test: (_, text) => text.startsWith("GGUF"), is: "a GGUF file", action: "Use the safetensors files of the model" },
  {
    test: (bytes) => startsWith(bytes, [0x89, 0x48, 0x44, 0x46]),
    is: "an HDF5 file (Keras)",
    action: "Use the safetensors files of the model",
  },
];

/**
 * What a file with these first bytes is and what to do about it, or undefined if it looks like none of the known
 * kinds. Only meaningful for files that are not valid safetensors.
 */
export function describeForeignFile(first: Uint8Array): { readonly is: string; readonly action: string } | undefined {
  const text = Buffer.from(first.buffer, first.byteOffset, first.byteLength).toString("latin1");
  return KINDS.find((kind) => kind.test(first, text));
}

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, i) => bytes[i] === byte);
}
