/**
 * Image folders: `<path>/<split>/<class>/<image>`, or `<path>/<class>/<image>` when there are no split folders, or
 * a folder of images without class folders, which is unlabelled. Classes and files are in the order of their
 * names (by UTF-16 code unit, the same on every machine). One level deep: no recursion, so link loops cannot hang it.
 */
import { readdir, stat } from "node:fs/promises";
import { basename, extname, join, resolve } from "node:path";
import { z } from "zod";
import { DataError } from "../errors.js";
import { type DatasetReader, type ImageDataset, type ReadRequest, readerParameters } from "./image-dataset.js";
import { readImageFile } from "./image-file.js";
import { isImageExtension } from "./image-formats.js";
import { SPLIT_NAMES } from "./split-names.js";

const parametersSchema = z.strictObject({});

export const imageFolderReader: DatasetReader = {
  name: "image-folder",
  title: "Folder of images, one folder per class",
  layout: "<split>/<class>/*.png|jpg|webp|gif|tif, <class>/* or <split>/*",
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
}

async function openImageFolder(request: ReadRequest): Promise<ImageDataset> {
  readerParameters(parametersSchema, request);
  const { path, split, where } = request;
  const root = await splitRoot(path, split);
  const { folders, images } = await list(root);
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
  if (folders.length === 0)
    return folderDataset({ name, split, files: images.map((image) => join(root, image)), root, where });
  const files: string[] = [];
  const labels: number[] = [];
  for (const [label, folder] of folders.entries()) {
    const listing = await list(join(root, folder));
    for (const image of listing.images) {
      files.push(join(root, folder, image));
      labels.push(label);
    }
  }
  return { ...folderDataset({ name, split, files, root, where }), classes: folders, labels: Int32Array.from(labels) };
}

function folderDataset(found: {
  name: string;
  split: string;
  files: readonly string[];
  root: string;
  where: string;
}): ImageDataset {
  const { files } = found;
  if (files.length === 0)
    throw new DataError(
      `${found.where}: ${found.root}: expected at least 1 image (png, jpg, webp, gif, tif), found none`,
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
  return { name: found.name, split: found.split, size: files.length, encoded, locate, files: absolute };
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

async function list(path: string): Promise<Listing> {
  const entries = await readdir(path, { withFileTypes: true });
  const folders: string[] = [];
  const images: string[] = [];
  for (const entry of entries) {
    if (entry.name.startsWith(".")) continue;
    // An entry that is a link is what it points to.
    if (entry.isDirectory() || (entry.isSymbolicLink() && (await isFolder(join(path, entry.name)))))
      folders.push(entry.name);
    else if (isImageExtension(extname(entry.name).slice(1))) images.push(entry.name);
  }
  return { folders: folders.sort(), images: images.sort() };
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
