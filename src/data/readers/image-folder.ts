/**
 * Image folders: `<path>/<split>/<class>/<image>`, or `<path>/<class>/<image>` when there are no split folders, or
 * a folder of images without class folders, which is unlabelled. Classes and files are in the order of their
 * names (by UTF-16 code unit, the same on every machine). One level deep: no recursion, so link loops cannot hang it. What is no
 * image by its name, folders inside class folders, and what systems leave behind is counted in the data set's notices.
 */
import { stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { z } from "zod";
import { DataError } from "../../errors.js";
import { printable } from "../../runtime/printable.js";
import { SPLIT_NAMES } from "../split-names.js";
import { type Dataset, type DatasetReader, type ReadRequest, readerParameters } from "./dataset-reader.js";
import { readImageFile } from "./example-file.js";
import { foreignName, listEntries } from "./file-names.js";
import { isImageName, isLeftover, PassedOver, READ_FORMATS } from "./passed-over.js";

const parametersSchema = z.strictObject({});

export const imageFolderReader: DatasetReader = {
  name: "image-folder",
  title: "Folder of images, one folder per class",
  layout: "<split>/<class>/*.png|jpg|webp|gif|tif|bmp|ppm, <class>/* or <split>/*",
  parameters: parametersSchema,
  detect: async (path, split) => {
    const root = await splitRoot(path, split);
    if (root !== path) return true;
    const { folders, images } = await list(path);
    return (
      folders.some((folder) => SPLIT_NAMES.has(folder.toLowerCase())) || images.length > 0 || hasImages(path, folders)
    );
  },
  splits: async (path) => {
    const { folders, images } = await list(path);
    const splits = folders.filter((folder) => SPLIT_NAMES.has(folder.toLowerCase()));
    return splits.length > 0 || images.length > 0 || (await hasImages(path, folders)) ? splits : undefined;
  },
  open: openImageFolder,
};

interface Listing {
  readonly folders: readonly string[];
  readonly images: readonly string[];
  /** Files that are no images, and leftovers. */
  readonly others: readonly string[];
}

async function openImageFolder(request: ReadRequest): Promise<Dataset> {
  readerParameters(parametersSchema, request);
  const { path, split, where } = request;
  const root = await splitRoot(path, split);
  const { folders, images, others } = await list(root);
  if (root === path && folders.some((folder) => SPLIT_NAMES.has(folder.toLowerCase())))
    throw new DataError(
      `${where}: ${path}: expected a folder ${split}, found ${folders.join(", ")}; choose one of these splits`,
    );
  if (folders.length > 0 && images.length > 0) {
    throw new DataError(
      `${where}: ${root}: expected either class folders or images, found ${folders.length} folders (${folders[0]}, ...) ` +
        `and ${images.length} images (${images[0]}, ...); move the images into class folders`,
    );
  }
  const name = basename(path);
  const passed = new PassedOver();
  for (const other of others) passed.add(other);
  if (root !== path) await countBeside(path, split, passed);
  if (folders.length === 0) {
    const files = images.map((image) => join(root, image));
    return {
      ...folderDataset({ name, split, files, root, where, passed }),
      unlabelled: `${root}: expected a folder per class, found none`,
    };
  }
  const files: string[] = [];
  const labels: number[] = [];
  const empty = new Map<string, string>();
  for (const [label, folder] of folders.entries()) {
    const listing = await list(join(root, folder));
    const inClass = new PassedOver();
    for (const other of listing.others)
      for (const counter of [passed, inClass]) counter.add(isLeftover(other) ? other : `${folder}/${other}`);
    for (const inner of listing.folders)
      for (const counter of [passed, inClass]) counter.addKind("folders in class folders", `${folder}/${inner}`);
    if (listing.images.length === 0) empty.set(folder, inClass.text || "nothing");
    for (const image of listing.images) {
      files.push(join(root, folder, image));
      labels.push(label);
    }
  }
  const found = folderDataset({ name, split, files, root, where, passed });
  const ofEmpty = [...empty].map(
    ([folder, there]) =>
      `${root}: class ${printable(folder)} has no image: its folder has ${there}; read are ${READ_FORMATS}`,
  );
  return {
    ...found,
    classes: folders,
    labels: Int32Array.from(labels),
    notices: [...(found.notices ?? []), ...ofEmpty],
    emptyClasses: empty,
  };
}

/** Beside a split's folder: folders that are no splits, which are not its classes, and images. */
async function countBeside(path: string, split: string, passed: PassedOver): Promise<void> {
  const { folders, images } = await list(path);
  const isSplit = (folder: string) => folder === split || SPLIT_NAMES.has(folder.toLowerCase());
  // Of splits with names of their own there are several, of which this is one.
  if (!SPLIT_NAMES.has(split.toLowerCase())) return;
  for (const folder of folders) if (!isSplit(folder)) passed.addKind(`folders beside ${split}`, folder);
  for (const image of images) passed.addKind(`images beside ${split}`, image);
}

function folderDataset(found: {
  name: string;
  split: string;
  files: readonly string[];
  root: string;
  where: string;
  passed: PassedOver;
}): Dataset {
  const { files, passed } = found;
  if (files.length === 0)
    throw new DataError(
      `${found.where}: ${found.root}: expected at least 1 image (${READ_FORMATS}), found ${passed.text || "none"}`,
    );
  const locate = (index: number) => files[index] ?? `image ${index}`;
  const encoded = async (index: number) => {
    try {
      return await readImageFile(locate(index));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new DataError(`${locate(index)}: expected a readable image, found: ${reason}; was it moved while in use?`, {
        cause: error,
      });
    }
  };
  const absolute = files.map((file) => resolve(file));
  const notices = passed.notices(found.root);
  return { name: found.name, split: found.split, size: files.length, encoded, locate, files: absolute, notices };
}

/** `<path>/<split>` when it is a folder, else `path` itself. */
async function splitRoot(path: string, split: string): Promise<string> {
  const folder = join(path, split);
  return (await isFolder(folder)) ? folder : path;
}

async function hasImages(path: string, folders: readonly string[]): Promise<boolean> {
  for (const folder of folders) if ((await list(join(path, folder))).images.length > 0) return true;
  return false;
}

/** Throws DataError for a folder or an image whose name is not UTF-8. */
async function list(path: string): Promise<Listing> {
  const folders: string[] = [];
  const images: string[] = [];
  const others: string[] = [];
  for (const { name, isText, ...entry } of await listEntries(path)) {
    if (isLeftover(name)) {
      others.push(name);
      continue;
    }
    // An entry that is a link is what it points to.
    const isInside = entry.isFolder || (entry.isLink && (await isFolder(join(path, name))));
    if (!isText && (isInside || isImageName(name))) throw foreignName(path, isInside ? "the folder" : "the file", name);
    if (isInside) folders.push(name);
    else (isImageName(name) ? images : others).push(name);
  }
  return { folders: folders.sort(), images: images.sort(), others: others.sort() };
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
