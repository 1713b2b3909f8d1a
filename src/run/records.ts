/** The records that a run leaves: coefficients by name, and where it ran. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, cpus, platform, release } from "node:os";
import { versions } from "node:process";
import type { RunConfig } from "../config/schema.js";
import type { Engine } from "../engine/program.js";
import type { CoefficientMatrix, Constraint } from "../merge/coefficients.js";
import type { CoefficientsRecord } from "../track/coefficients-file.js";
import type { EnvironmentRecord } from "../track/run-folder.js";
import type { Inputs } from "./inputs.js";

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
    values: inputs.bundle.tasks.map((_, task) => [
      ...valuesKL.subarray(task * groups.length, (task + 1) * groups.length),
    ]),
    groupOf: Object.fromEntries(tensors.map((tensor, index) => [tensor, groups[groupOf[index] ?? 0] ?? ""])),
  };
}

/** Version of this package. */
export function packageVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return /"version": "([^"]+)"/.exec(text)?.[1] ?? "unknown";
}

/** Engine, device, machine and the versions of what computes. */
export function environmentRecord(engine: Engine): EnvironmentRecord {
  return {
    node: versions.node,
    os: `${platform()} ${release()} ${arch()}`,
    cpu: `${cpus().length} x ${cpus()[0]?.model ?? "unknown"}`,
    engine: engine.name,
    device: engine.device,
    versions: { adamerge: packageVersion(), ...dependencyVersions(["onnxruntime-node", "@tensorflow/tfjs"]) },
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
