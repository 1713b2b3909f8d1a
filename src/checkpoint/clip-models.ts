/** The models of a suite, whatever their files: tensors by canonical names (names.ts), also from open_clip's layout. */
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { applyAdapter, readAdapter } from "./adapter/adapter.js";
import { type Checkpoint, openCheckpoint, readConfig, type StoredCheckpoint } from "./checkpoint.js";
import { fromOpenClip } from "./open-clip-layout.js";
import { refuseQuantised } from "./quantised.js";

/** The pretrained model. One that is a file has its config beside it, under whatever name. Throws CheckpointError as `openCheckpoint`. */
export async function openBase(path: string): Promise<Checkpoint> {
  const base = fromOpenClip(plain(await openCheckpoint(path)));
  if (base.config !== undefined || (await stat(path)).isDirectory()) return base;
  return { ...base, config: await readConfig(dirname(path)) };
}

/** A model fine-tuned from the base, or a LoRA adapter of it. Throws CheckpointError as `openCheckpoint`. */
export async function openExpert(path: string, base: Checkpoint): Promise<Checkpoint> {
  const adapter = await readAdapter(path);
  return adapter === undefined ? fromOpenClip(plain(await openCheckpoint(path))) : applyAdapter(adapter, base);
}

/** Looks at an expert whose base is not there yet: its config.json. Throws what `openExpert` does for the expert's own files. */
export async function expertConfig(path: string): Promise<unknown> {
  return (await readAdapter(path)) === undefined ? (await openCheckpoint(path)).config : undefined;
}

function plain(checkpoint: StoredCheckpoint): StoredCheckpoint {
  refuseQuantised(checkpoint);
  return checkpoint;
}
