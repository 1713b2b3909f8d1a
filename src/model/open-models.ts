/** The models of a suite, whatever their files: the tensors of their family by canonical names, also from the layouts of other code. */
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { type Adapter, applyAdapter, readAdapter, requireFit } from "../checkpoint/adapter/adapter.js";
import { type Checkpoint, openCheckpoint, readConfig, type StoredCheckpoint } from "../checkpoint/checkpoint.js";
import { inCanonicalNames } from "../checkpoint/layout/other-naming.js";
import type { TowerLayout } from "../checkpoint/layout/tensor-layout.js";
import { towerName, towerTensors } from "../checkpoint/layout/tower-names.js";
import { refuseQuantised } from "../checkpoint/quantised.js";
import { quote } from "../runtime/printable.js";
import { classifierTensors, type FoundClassifier, findClassifier, openWithClassifier } from "./classifiers.js";
import { familyOf } from "./families.js";
import type { ModelFamily } from "./family.js";

/** The pretrained model. One that is a file has its config beside it, under whatever name. Throws CheckpointError as `openCheckpoint`. */
export async function openBase(path: string): Promise<Checkpoint> {
  const plain = await openPlain(path);
  const isFile = plain.config === undefined && !(await stat(path)).isDirectory();
  const config = isFile ? await readConfig(dirname(path)) : plain.config;
  return { ...inCanonicalNames(plain, familyOf(config, path).layout), config };
}

/** A model fine-tuned from the base, or a LoRA adapter of it. Throws CheckpointError as `openCheckpoint`. */
export async function openExpert(path: string, base: Checkpoint): Promise<Checkpoint> {
  const { layout } = familyOf(base.config, base.path);
  const adapter = await readAdapterOf(path, layout);
  if (adapter === undefined) return inCanonicalNames(await openPlain(path), layout);
  return applyAdapter(adapter, base, layout);
}

/**
 * An adapter of the base by the names that the base's files have, as `openExpert` reads it; undefined for a model. Throws
 * CheckpointError for one that is not read or does not fit.
 */
export async function openAdapter(path: string, base: Checkpoint): Promise<Adapter | undefined> {
  const { layout } = familyOf(base.config, base.path);
  const { names } = towerTensors(layout, base.tensors.keys(), base.path);
  const adapter = await readAdapter(path, (name) => {
    const canonical = towerName(layout, name);
    return canonical === undefined ? undefined : (names.get(canonical) ?? canonical);
  });
  for (const name of adapter?.factors.keys() ?? []) if (adapter !== undefined) requireFit(adapter, name, name, base);
  return adapter;
}

/** An expert by itself. */
export interface ExpertFiles {
  readonly config: unknown;
  /** That it was saved with. */
  readonly classifier: FoundClassifier | undefined;
}

/** Looks at an expert whose base is not there yet; an adapter has no config. Throws what `openExpert` does for the expert's own files. */
export async function lookAtExpert(path: string, family: ModelFamily): Promise<ExpertFiles> {
  await readAdapterOf(path, family.layout);
  const checkpoint = await openWithClassifier(path);
  return { config: checkpoint.config, classifier: findClassifier(checkpoint, family) };
}

async function openPlain(path: string): Promise<StoredCheckpoint> {
  const checkpoint = await openCheckpoint(path);
  refuseQuantised(checkpoint);
  return checkpoint;
}

function readAdapterOf(path: string, layout: TowerLayout): ReturnType<typeof readAdapter> {
  return readAdapter(path, (name) => towerName(layout, name));
}

/**
 * What is in a model's files around its tower and is left out, in a sentence; undefined where there is nothing. `isHeadUsed`: its own classifier is a
 * task's head.
 */
export function aroundTower(
  checkpoint: Checkpoint,
  family: Pick<ModelFamily, "layout" | "title" | "classifiers" | "unreadClassifiers">,
  { isHeadUsed = false } = {},
): string | undefined {
  const { tensors, path } = checkpoint;
  const { layout, title } = family;
  const used = isHeadUsed ? classifierTensors(checkpoint, family) : new Set<string>();
  const around = towerTensors(layout, tensors.keys(), path).around.filter((name) => !used.has(name));
  if (around.length === 0) return undefined;
  const more = around.length > 3 ? ` and ${around.length - 3} more` : "";
  return `${path}: left out what is around the ${title}: ${around.slice(0, 3).map(quote).join(", ")}${more}`;
}
