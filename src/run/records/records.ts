/** The records that a run leaves: coefficients by name, and where it ran. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, cpus, platform, release } from "node:os";
import { join } from "node:path";
import { versions } from "node:process";
import { decisiveSettings } from "../../config/flat.js";
import type { RunConfig } from "../../config/schema.js";
import { PACKAGE } from "../../config/shipped-files.js";
import { learnedHeads, stageConfigs } from "../../config/stages.js";
import type { ExampleStore } from "../../data/examples.js";
import { kindOf } from "../../data/kinds.js";
import type { Engine } from "../../engine/program.js";
import { type CoefficientMatrix, type Constraint, rowsOf } from "../../merge/coefficients.js";
import type { CoefficientsRecord } from "../../track/coefficients-file.js";
import { type EnvironmentRecord, type InputFingerprints, SETTING } from "../../track/run-folder.js";
import type { Inputs } from "../session/inputs.js";
import { familyFingerprint, familyRecord, objectiveFingerprint } from "./outside-family.js";

/** The constraint that a config describes. */
export function constraintOf({ coefficients }: RunConfig): Constraint {
  const { constraint, min, max } = coefficients;
  return constraint === "clamp" ? { kind: "clamp", min, max } : { kind: constraint };
}

/** Coefficients [K, L] with the names of their tasks, groups and tensors. */
export function coefficientsRecord(config: RunConfig, inputs: Inputs, valuesKL: CoefficientMatrix): CoefficientsRecord {
  const { groups, tensors, groupOf } = inputs.grouping;
  return {
    granularity: config.granularity,
    tasks: [...inputs.bundle.tasks],
    groups: [...groups],
    values: rowsOf(valuesKL, inputs.bundle.tasks.length),
    groupOf: Object.fromEntries(tensors.map((tensor, index) => [tensor, groups[groupOf[index] ?? 0] ?? ""])),
    ...headsOf(config),
  };
}

/** The coefficients [K][N] nearest to what a parametrisation learned, in the same form. */
export function nearestRecord(
  config: RunConfig,
  inputs: Inputs,
  values: readonly (readonly number[])[],
  outside: readonly number[],
): CoefficientsRecord {
  const { tensors } = inputs.grouping;
  return {
    granularity: config.granularity,
    tasks: [...inputs.bundle.tasks],
    groups: [...tensors],
    values: values.map((row) => [...row]),
    groupOf: Object.fromEntries(tensors.map((tensor) => [tensor, tensor])),
    nearest: {
      parametrisation: stageConfigs(config)
        .map(({ parametrisation }) => parametrisation)
        .join(" then "),
      outside: [...outside],
    },
    ...headsOf(config),
  };
}

function headsOf(config: RunConfig): Pick<CoefficientsRecord, "heads"> {
  const heads = learnedHeads(config);
  return heads.length === 0 ? {} : { heads: [...heads] };
}

/** What the coefficients are learned from, and how: a resumed fit must find the same. */
export function inputFingerprints(
  config: RunConfig,
  inputs: Inputs,
  examples: ReadonlyMap<string, ExampleStore>,
): InputFingerprints {
  const heads = createHash("sha256");
  for (const { task, logitScale, weight, bias } of inputs.heads)
    for (const part of [JSON.stringify([task, logitScale]), bytesOf(weight), bytesOf(bias)]) heads.update(part);
  return {
    "task vectors": inputs.bundle.fingerprint,
    heads: heads.digest("hex"),
    ...Object.fromEntries(
      [...examples].map(([task, { kind, fingerprint }]) => [
        `${kindOf(kind).many} of ${task}`,
        fingerprint ?? "unknown",
      ]),
    ),
    ...familyFingerprint(inputs),
    ...objectiveFingerprint(config),
    ...Object.fromEntries([...decisiveSettings(config)].map(([key, text]) => [SETTING + key, text])),
  };
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Version of this package. */
export function packageVersion(): string {
  const text = readFileSync(join(PACKAGE, "package.json"), "utf8");
  return /"version": "([^"]+)"/.exec(text)?.[1] ?? "unknown";
}

/** Engine, device, machine, kind of examples and the versions of what computes. */
export function environmentRecord(
  engine: Engine,
  inputs: Pick<Inputs, "base" | "encoder"> & { readonly suite: Pick<Inputs["suite"], "base"> },
): EnvironmentRecord {
  return {
    node: versions.node,
    os: `${platform()} ${release()} ${arch()}`,
    cpu: `${cpus().length} x ${cpus()[0]?.model ?? "unknown"}`,
    engine: engine.name,
    device: engine.device,
    examples: kindOf(inputs.encoder.kind).many,
    versions: { adamerge: packageVersion(), ...dependencyVersions(["onnxruntime-node", "@tensorflow/tfjs-core"]) },
    ...familyRecord(inputs),
  };
}

function dependencyVersions(names: readonly string[]): Record<string, string> {
  const require = createRequire(import.meta.url);
  return Object.fromEntries(
    names.map((name): [string, string] => {
      const json: unknown = require(`${name}/package.json`);
      const version = typeof json === "object" && json !== null && "version" in json ? String(json.version) : "unknown";
      return [name, version];
    }),
  );
}
