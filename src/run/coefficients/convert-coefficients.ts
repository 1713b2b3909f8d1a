/** Coefficients from and to the files of other tools, for a suite: it knows the names that those leave out. */
import path from "node:path";
import { parseUri, shownReference } from "../../checkpoint/hub/reference.js";
import type { Hub } from "../../checkpoint/hub/request.js";
import type { RunConfig } from "../../config/schema.js";
import { openSuite } from "../../data/suite.js";
import { CheckpointError, ConfigError } from "../../errors.js";
import { familyOf } from "../../model/families.js";
import type { LayerOrders, ModelFamily } from "../../model/family.js";
import { openBase } from "../../model/open-models.js";
import { writeFileAtomic } from "../../runtime/atomic-file.js";
import { requireFilePlace } from "../../runtime/output-place.js";
import { readBytes } from "../../runtime/regular-file.js";
import { mergekitText } from "../../track/coefficient-formats/mergekit.js";
import { looksLikeNpy, npyBytes, parseNpy } from "../../track/coefficient-formats/npy.js";
import {
  fusionBenchArray,
  officialText,
  recordOfArray,
  recordOfOfficial,
} from "../../track/coefficient-formats/tables.js";
import {
  type CoefficientsRecord,
  coefficientsText,
  parseCoefficients,
  requireCoefficients,
  requireOwnHeads,
} from "../../track/coefficients-file.js";
import { chosenTasks } from "../session/inputs.js";
import { suiteInputs } from "../suite/suite-place.js";
import { bringSuite } from "../suite/suite-sources.js";

export const coefficientForms = ["json", "fusionbench", "official", "mergekit"] as const;
export type CoefficientForm = (typeof coefficientForms)[number];

export interface ConvertCoefficientsOptions {
  /** Absolute paths. */
  readonly from: string;
  readonly output: string;
  readonly to: CoefficientForm;
  /** Whether a file at `output` may be replaced; default false. */
  readonly overwrite?: boolean;
  /** The file of the config, and our cache: no output may touch them. */
  readonly configPath?: string;
  readonly cacheDir?: string;
  /** For suites that name repositories on the hub. */
  readonly hub?: Hub;
}

/**
 * Reads a coefficients.json, a .npy array [T, L] or [T] (FusionBench), or the authors' list of rows, and writes another of these, or a mergekit file.
 * Arrays and lists are in the order of the config's tasks. Throws CheckpointError for a file that is none of them or does not fit the suite, ConfigError
 * for coefficients of task vectors that another tool does not have.
 */
export async function convertCoefficients(
  config: RunConfig,
  options: ConvertCoefficientsOptions,
): Promise<CoefficientsRecord> {
  const { from, output, overwrite = false } = options;
  requireKnownOrigin(config, options.to);
  await requireFilePlace(output, {
    shown: `--output ${output}`,
    inputs: [...(await suiteInputs(config, options)), { path: from, what: "the file of coefficients" }],
    overwrite,
  });
  const named = await openSuite(config.suite);
  // Only the base is looked into.
  const suite = await bringSuite(named, { tasks: [], splits: [] }, options.hub);
  const tasks = chosenTasks(suite, "tasks", config.tasks) ?? suite.tasks;
  const configPath = path.join(suite.base, "config.json");
  const { config: baseConfig } = await openBase(suite.base);
  const family = familyOf(baseConfig, configPath);
  const tensors = family.tensors(baseConfig, configPath).map(({ name }) => name);
  const orders = (): LayerOrders => ordersOf(family, tensors, options.from);
  const names = tasks.map(({ name }) => name);
  const record = await readRecord(options.from, names, orders);
  requireCoefficients(record, options.from);
  requireOwnHeads(record, options.from);
  const expertOf = (task: string): string => {
    const found = tasks.find(({ name }) => name === task);
    if (found !== undefined) return nameForMergekit(found.expert);
    throw new CheckpointError(`${options.from}: task ${task}: expected one of ${names.join(", ")}`);
  };
  const write = (content: string | Uint8Array) => writeFileAtomic(options.output, content);
  switch (options.to) {
    case "json":
      await write(coefficientsText(record));
      break;
    case "fusionbench":
      await write(npyBytes(fusionBenchArray(record, orders().fusionBench, options.from)));
      break;
    case "official":
      await write(officialText(record, orders().official, options.from));
      break;
    case "mergekit": {
      const known = record.groups.length === 1 ? tensors : tensors.filter((name) => record.groupOf[name] !== undefined);
      await write(
        mergekitText(record, { base: nameForMergekit(named.base), experts: record.tasks.map(expertOf) }, known),
      );
      break;
    }
    default:
      return options.to satisfies never;
  }
  return record;
}

/** Throws ConfigError for coefficients that would mean something else to another tool. */
function requireKnownOrigin({ task_vectors }: RunConfig, to: CoefficientForm): void {
  if (task_vectors.origin === "pretrained" || to === "json") return;
  throw new ConfigError(
    `task_vectors.origin: expected pretrained to write coefficients as ${to}, found ${task_vectors.origin}: other tools add task vectors to the base. Use the \`model\` folder of the run`,
  );
}

/** A path, or the repository as mergekit writes it. */
function nameForMergekit(path: string): string {
  const reference = parseUri(path);
  return reference === undefined ? path : shownReference(reference);
}

/** A number per task and tensor: some megabytes. */
const MAX_BYTES = 1_000_000_000;

/** Throws CheckpointError for a family whose layers no other tool has. */
function ordersOf({ layerOrders, title }: ModelFamily, tensors: readonly string[], file: string): LayerOrders {
  if (layerOrders !== undefined) return layerOrders(tensors);
  throw new CheckpointError(
    `${file}: expected coefficients as coefficients.json or for mergekit, which name their tensors, since no order of layers is known for ${title}`,
  );
}

async function readRecord(
  file: string,
  tasks: readonly string[],
  orders: () => LayerOrders,
): Promise<CoefficientsRecord> {
  const bytes = await readBytes(file, "a file of coefficients", MAX_BYTES).catch((cause: unknown) => {
    throw new CheckpointError(
      `${file}: expected a file of coefficients (${cause instanceof Error ? cause.message : cause})`,
      {
        cause,
      },
    );
  });
  if (looksLikeNpy(bytes)) return recordOfArray(parseNpy(bytes, file), tasks, orders().fusionBench, file);
  if (bytes[0] === 0x50 && bytes[1] === 0x4b)
    throw new CheckpointError(
      `${file}: expected coefficients as .json, .npy or a list, found a file of torch.save; write it as .npy: numpy.save("weights.npy", torch.load(FILE).numpy())`,
    );
  const text = Buffer.from(bytes).toString("utf8");
  if (text.trimStart().startsWith("{")) return parseCoefficients(text, file);
  return recordOfOfficial(text, tasks, orders().official, file);
}
