/** Stores files where a run's or model's artifact URI says: through the server, or in a directory of this machine. */
import { cp, mkdir } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { isProxied, type LocalFile, type MlflowClient } from "./client.js";

/** Stores one file; false when the URI names a place that this machine cannot write to. Throws TrackerError. */
export async function storeArtifact(
  client: MlflowClient,
  artifactUri: string,
  name: string,
  file: LocalFile,
): Promise<boolean> {
  if (isProxied(artifactUri)) {
    await client.uploadArtifact(artifactUri, name, file);
    return true;
  }
  const directory = artifactUri.startsWith("file:") ? fileURLToPath(artifactUri) : artifactUri;
  if (!path.isAbsolute(directory)) return false;
  try {
    const target = path.join(directory, name);
    await mkdir(path.dirname(target), { recursive: true });
    await cp(file.path, target);
    return true;
  } catch {
    return false;
  }
}

/** What to tell when nothing can be stored there. */
export function unreachableStore(artifactUri: string, folder: string): string {
  return `${artifactUri}: the server keeps artifacts there and this machine cannot write to it; the files stay in ${folder}. Start the server with --serve-artifacts to have them delivered`;
}
