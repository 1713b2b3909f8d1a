/** A run of a family or an objective from outside the package: what its records say of them, and that they are there when the run is resumed. */
import path from "node:path";
import { z } from "zod";
import type { RunConfig } from "../../config/schema.js";
import { objectiveNames } from "../../config/stages.js";
import { ConfigError } from "../../errors.js";
import { type OutsideFamily, outsideFamilies, outsideFamilyOf } from "../../model/families.js";
import { extensionOf } from "../../runtime/extensions.js";
import { readJsonFileIfThere } from "../../runtime/json-file.js";
import { environmentKind, type InputFingerprints } from "../../track/run-folder.js";
import type { Inputs } from "../session/inputs.js";

/** Of a base that lies at `suite.base`. */
type FamilyInputs = Pick<Inputs, "base"> & { readonly suite: Pick<Inputs["suite"], "base"> };

/** For environment.json and summary.json; nothing for a family that came with the package. */
export function familyRecord({ base, suite }: FamilyInputs): { outsideFamily?: OutsideFamily } {
  const outsideFamily = outsideFamilyOf(base.config, suite.base);
  return outsideFamily === undefined ? {} : { outsideFamily };
}

/** A resumed fit must find the same module. */
export function familyFingerprint(inputs: Pick<Inputs, "base" | "suite">): InputFingerprints {
  const { outsideFamily } = familyRecord(inputs);
  if (outsideFamily?.sha256 === undefined) return {};
  return { [`module of the family ${outsideFamily.name}`]: outsideFamily.sha256 };
}

/** Nor may the objective, of any stage, be computed by another one. */
export function objectiveFingerprint(config: RunConfig): InputFingerprints {
  const modules = objectiveNames(config).flatMap((name): [string, string][] => {
    const module = extensionOf("objective", name)?.module;
    return module === undefined ? [] : [[`module of the objective ${name}`, module.sha256]];
  });
  return Object.fromEntries(modules);
}

const recorded = z.object({ outsideFamily: z.object({ name: z.string(), path: z.string().optional() }) });

/** Throws ConfigError for a run whose family is not here: what the run says of its module is shown, never loaded. */
export async function requireFamily(runPath: string): Promise<void> {
  const file = path.join(runPath, "environment.json");
  const result = recorded.safeParse(await readJsonFileIfThere(file, environmentKind));
  if (!result.success) return;
  const { name, path: module } = result.data.outsideFamily;
  if (outsideFamilies().some((family) => family.name === name)) return;
  const advice =
    module === undefined ? "add it with addFamily before" : `pass --family ${module} if you trust that file`;
  throw new ConfigError(
    `${runPath}: expected the family ${name}, which the run began with, found none of that name; ${advice}`,
  );
}
