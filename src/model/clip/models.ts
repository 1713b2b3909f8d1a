/** The models of a suite, whatever their files: CLIP's tensors by canonical names (clip-layout.ts), also from open_clip's layout. */
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { applyAdapter, readAdapter } from "../../checkpoint/adapter/adapter.js";
import { type Checkpoint, openCheckpoint, readConfig, type StoredCheckpoint } from "../../checkpoint/checkpoint.js";
import { inCanonicalNames } from "../../checkpoint/layout/other-naming.js";
import { towerName, towerTensors } from "../../checkpoint/layout/tower-names.js";
import { refuseQuantised } from "../../checkpoint/quantised.js";
import { quote } from "../../runtime/printable.js";
import { clipVisionLayout } from "./layout.js";

/** The pretrained model. One that is a file has its config beside it, under whatever name. Throws CheckpointError as `openCheckpoint`. */
export async function openBase(path: string): Promise<Checkpoint> {
  const base = inCanonicalNames(await openPlain(path), clipVisionLayout);
  if (base.config !== undefined || (await stat(path)).isDirectory()) return base;
  return { ...base, config: await readConfig(dirname(path)) };
}

/** A model fine-tuned from the base, or a LoRA adapter of it. Throws CheckpointError as `openCheckpoint`. */
export async function openExpert(path: string, base: Checkpoint): Promise<Checkpoint> {
  const adapter = await readClipAdapter(path);
  if (adapter === undefined) return inCanonicalNames(await openPlain(path), clipVisionLayout);
  return applyAdapter(adapter, base, clipVisionLayout);
}

/** Looks at an expert whose base is not there yet: its config.json. Throws what `openExpert` does for the expert's own files. */
export async function expertConfig(path: string): Promise<unknown> {
  return (await readClipAdapter(path)) === undefined ? (await openCheckpoint(path)).config : undefined;
}

async function openPlain(path: string): Promise<StoredCheckpoint> {
  const checkpoint = await openCheckpoint(path);
  refuseQuantised(checkpoint);
  return checkpoint;
}

function readClipAdapter(path: string): ReturnType<typeof readAdapter> {
  return readAdapter(path, (name) => towerName(clipVisionLayout, name));
}

/** What is in a model's files around its tower, in a sentence; undefined where there is nothing. */
export function aroundTower({ tensors, path }: Checkpoint): string | undefined {
  const { around } = towerTensors(clipVisionLayout, tensors.keys(), path);
  if (around.length === 0) return undefined;
  const more = around.length > 3 ? ` and ${around.length - 3} more` : "";
  return `${path}: left out what is around the vision tower: ${around.slice(0, 3).map(quote).join(", ")}${more}`;
}
