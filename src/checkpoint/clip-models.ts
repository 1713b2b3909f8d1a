/** The models of a suite, whatever their files: tensors by canonical names (names.ts), also from open_clip's layout. */
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { type Checkpoint, openCheckpoint, readConfig } from "./checkpoint.js";
import { fromOpenClip } from "./open-clip-layout.js";

/** The pretrained model. One that is a file has its config beside it, under whatever name. Throws CheckpointError as `openCheckpoint`. */
export async function openBase(path: string): Promise<Checkpoint> {
  const base = fromOpenClip(await openCheckpoint(path));
  if (base.config !== undefined || (await stat(path)).isDirectory()) return base;
  return { ...base, config: await readConfig(dirname(path)) };
}

/** A model fine-tuned from the base. Throws CheckpointError as `openCheckpoint`. */
export async function openExpert(path: string): Promise<Checkpoint> {
  return fromOpenClip(await openCheckpoint(path));
}
