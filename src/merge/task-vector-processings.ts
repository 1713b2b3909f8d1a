/**
 * The processings of task vectors that learning may start from, by their name in configs (`task_vectors.processing`): what training-free
 * methods do before they add up. With coefficients of 1 (consensus: of its scale) the start of a fit is that method's model.
 */
import type { TaskVectorProcessing } from "../checkpoint/task-vectors.js";
import type { RunConfig } from "../config/schema.js";
import { alignedTaskVectors, elected, knotsElection } from "./aligned-task-vectors.js";
import { calibratedParts } from "./calibrated-parts.js";
import { isotropicParts } from "./isotropic-subspaces.js";
import { consensusMask } from "./methods/consensus.js";
import { competition, winningParts } from "./methods/pcb.js";
import { orthogonalParts } from "./orthogonal-task-vectors.js";
import { tiesProcessing } from "./task-vector-processing.js";
import { truncatedTaskVector } from "./truncated-task-vectors.js";

export interface ProcessingEntry {
  /** Ends the name of a method in tables: adamerging_layer_wise_pp. */
  readonly suffix: string;
  /** In a sentence about the method, such as the model card's. */
  readonly title: (settings: RunConfig["task_vectors"]) => string;
  readonly paper: string;
  readonly make: (settings: RunConfig["task_vectors"]) => TaskVectorProcessing;
}

type ProcessingName = Exclude<RunConfig["task_vectors"]["processing"], "none">;

export const taskVectorProcessings = {
  ties: {
    suffix: "pp",
    title: ({ density }) => `trimmed by TIES, density ${density}`,
    paper: "https://arxiv.org/abs/2306.01708",
    make: tiesProcessing,
  },
  consensus: {
    suffix: "consensus",
    title: () => "with the elements that at least two tasks need, by TALL masks at 0.4",
    paper: "https://arxiv.org/abs/2405.07813",
    make: () => consensusProcessing(),
  },
  tsv: {
    suffix: "tsv",
    title: () => "with leading singular vectors that are orthogonal between tasks, as in TSV-M",
    paper: "https://arxiv.org/abs/2412.00081",
    // 2: leading triples alone, and none of rounding. Bundles of the first form are not these.
    make: () => partsProcessing("tsv:2", orthogonalParts),
  },
  iso_cts: {
    suffix: "iso_cts",
    title: () => "with equally strong directions, common ones and each task's own, as in Iso-CTS",
    paper: "https://arxiv.org/abs/2502.04959",
    make: () => partsProcessing("iso_cts:common=0.8", (vectors, columns) => isotropicParts(vectors, columns, 0.8)),
  },
  svc: {
    suffix: "svc",
    title: () => "with directions that tasks share counted once, as in SVC",
    paper: "https://arxiv.org/abs/2602.05536",
    make: () => partsProcessing("svc:floor=0.1", (vectors, columns) => calibratedParts(vectors, columns, 0.1)),
  },
  pcb: {
    suffix: "pcb",
    title: ({ density }) => `weighed by parameter competition, as in PCB-Merging, of which a share of ${density} wins`,
    paper: "https://arxiv.org/abs/2410.02396",
    make: ({ density }) => pcbProcessing(density),
  },
  knots: {
    suffix: "knots",
    title: ({ density }) => `in one basis for each matrix and trimmed there by TIES, density ${density}, as in KnOTS`,
    paper: "https://arxiv.org/abs/2410.19735",
    make: ({ density }) => knotsProcessing(density),
  },
  cart: {
    suffix: "cart",
    title: ({ density }) => `cut to a share of ${density} of each matrix's singular directions, as in CART`,
    paper: "https://arxiv.org/abs/2412.12153",
    make: ({ density }) => truncation(density),
  },
} satisfies Record<ProcessingName, ProcessingEntry>;

/** The processing of a config; undefined where task vectors stay as they are. */
export function processingOf({ processing }: RunConfig["task_vectors"]): ProcessingEntry | undefined {
  return processing === "none" ? undefined : taskVectorProcessings[processing];
}

/** Elements that fewer than two tasks need become 0: the mask of Consensus merging at its published threshold. */
function consensusProcessing(): TaskVectorProcessing {
  const [threshold, minTasks] = [0.4, 2];
  return {
    id: `consensus:mask_threshold=${threshold},min_tasks=${minTasks}`,
    prepare: async () => (_name, taskVectors) => {
      const keptN = consensusMask(taskVectors, threshold, minTasks);
      for (const tauN of taskVectors) for (let i = 0; i < tauN.length; i++) if (keptN[i] === 0) tauN[i] = 0;
    },
  };
}

/** The parts whose sum a spectral method merges: of matrices what `partsOf` makes, of other tensors the K-th part of each task vector. */
function partsProcessing(
  id: string,
  partsOf: (taskVectors: readonly Float32Array[], columns: number) => readonly Float64Array[],
): TaskVectorProcessing {
  return {
    id,
    prepare: async () => (_name, taskVectors, shape) => {
      if (shape.length !== 2) {
        for (const tauN of taskVectors)
          for (let i = 0; i < tauN.length; i++) tauN[i] = (tauN[i] ?? 0) / taskVectors.length;
        return;
      }
      const parts = partsOf(taskVectors, shape[1] ?? 1);
      for (const [task, tauN] of taskVectors.entries()) tauN.set(parts[task] ?? []);
    },
  };
}

/** The parts whose sum is that of KnOTS with TIES and a mean, at scale 1. */
function knotsProcessing(density: number): TaskVectorProcessing {
  return {
    id: `knots:density=${density}`,
    prepare: async (stream) => {
      const aligned = async function* () {
        for await (const { taskVectors, shape } of stream())
          yield { taskVectors: alignedTaskVectors(taskVectors, shape).alignedKDC };
      };
      const found = await knotsElection(aligned, density);
      return (_name, taskVectors, shape) => {
        const { alignedKDC, restore } = alignedTaskVectors(taskVectors, shape);
        const counts = elected(alignedKDC, found);
        for (const [task, own] of alignedKDC.entries()) {
          const part = Float64Array.from(own, (value, index) => value / Math.max(1, counts[index] ?? 0));
          taskVectors[task]?.set(restore(part));
        }
      };
    },
  };
}

/**
 * Of task vectors from the experts' mean, the parts whose sum is CART's at scale 1. What is no matrix stays as it is: its
 * parts add up to 0, as in the method, as long as all have one coefficient, and coefficients can be learned for it.
 */
function truncation(ratio: number): TaskVectorProcessing {
  return {
    id: `cart:ratio=${ratio}`,
    prepare: async () => (_name, taskVectors, shape) => {
      if (shape.length !== 2) return;
      for (const tauRC of taskVectors) tauRC.set(truncatedTaskVector(tauRC, shape[1] ?? 1, ratio));
    },
  };
}

/** The parts whose sum is PCB-Merging's at scale 1; winners take `ratio` of the elements. */
function pcbProcessing(ratio: number): TaskVectorProcessing {
  return {
    id: `pcb:ratio=${ratio}`,
    prepare: async (stream) => {
      const found = await competition(stream, ratio);
      return (_name, taskVectors) => winningParts(taskVectors, found);
    },
  };
}
