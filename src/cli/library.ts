/**
 * The library's verbs, all that this folder knows of what adamerge does. Each is imported when it is called: what only looks at a file, or merges
 * files, need not wait for the engines.
 */
import type * as adamerge from "../index.js";

/** Those that verbs of the command line call. */
type Called =
  | ("configJsonSchema" | "configText" | "convertCoefficients" | "doctor" | "evaluate" | "evaluateModel" | "exportOnnx")
  | ("findMergeSource" | "fit" | "init" | "inspect" | "loadConfig" | "loadedExtensions" | "loadExtension" | "merge")
  | ("mergeModels" | "methods" | "openPredictor" | "planFit" | "planLines" | "pull" | "quickstart" | "report")
  | ("reproduce" | "resume" | "sweep" | "sweepTrial" | "sync" | "compareRuns" | "exportClassifier")
  | ("push" | "extractLora" | "finetune" | "resumeFinetune" | "planFinetune" | "mergeToAdapter")
  | "mergeModelsToAdapter";

/** As programs import them, but for the waiting. Tests give their own. */
export type Library = {
  readonly [Name in Called]: (
    ...given: Parameters<(typeof adamerge)[Name]>
  ) => Promise<Awaited<ReturnType<(typeof adamerge)[Name]>>>;
};

export const library: Library = {
  compareRuns: async (...given) => (await import("../library/runs.js")).compareRuns(...given),
  configJsonSchema: async () => (await import("../library/config-text.js")).configJsonSchema(),
  configText: async (...given) => (await import("../library/config-text.js")).configText(...given),
  convertCoefficients: async (...given) =>
    (await import("../library/convert-coefficients.js")).convertCoefficients(...given),
  doctor: async (...given) => (await import("../library/doctor.js")).doctor(...given),
  evaluate: async (...given) => (await import("../library/evaluate.js")).evaluate(...given),
  evaluateModel: async (...given) => (await import("../library/evaluate-model.js")).evaluateModel(...given),
  exportClassifier: async (...given) => (await import("../library/export-classifier.js")).exportClassifier(...given),
  exportOnnx: async (...given) => (await import("../library/export-onnx.js")).exportOnnx(...given),
  extractLora: async (...given) => (await import("../library/extract-lora.js")).extractLora(...given),
  findMergeSource: async (...given) => (await import("../library/merge-source.js")).findMergeSource(...given),
  finetune: async (...given) => (await import("../library/finetune.js")).finetune(...given),
  fit: async (...given) => (await import("../library/fit.js")).fit(...given),
  init: async (...given) => (await import("../library/init.js")).init(...given),
  inspect: async (...given) => (await import("../library/inspect.js")).inspect(...given),
  loadConfig: async (...given) => (await import("../library/load-config.js")).loadConfig(...given),
  loadedExtensions: async () => (await import("../library/extend.js")).loadedExtensions(),
  loadExtension: async (...given) => (await import("../library/extend.js")).loadExtension(...given),
  merge: async (...given) => (await import("../library/merge.js")).merge(...given),
  mergeModels: async (...given) => (await import("../library/merge-models.js")).mergeModels(...given),
  mergeModelsToAdapter: async (...given) =>
    (await import("../library/merge-adapter.js")).mergeModelsToAdapter(...given),
  mergeToAdapter: async (...given) => (await import("../library/merge-adapter.js")).mergeToAdapter(...given),
  methods: async () => (await import("../library/methods.js")).methods(),
  openPredictor: async (...given) => (await import("../library/predict.js")).openPredictor(...given),
  planFinetune: async (...given) => (await import("../library/finetune.js")).planFinetune(...given),
  planFit: async (...given) => (await import("../library/fit.js")).planFit(...given),
  planLines: async (...given) => (await import("../library/fit.js")).planLines(...given),
  pull: async (...given) => (await import("../library/suites.js")).pull(...given),
  push: async (...given) => (await import("../library/push.js")).push(...given),
  quickstart: async (...given) => (await import("../library/quickstart.js")).quickstart(...given),
  report: async (...given) => (await import("../library/runs.js")).report(...given),
  reproduce: async (...given) => (await import("../library/reproduce.js")).reproduce(...given),
  resumeFinetune: async (...given) => (await import("../library/finetune.js")).resumeFinetune(...given),
  resume: async (...given) => (await import("../library/fit.js")).resume(...given),
  sweep: async (...given) => (await import("../library/sweep.js")).sweep(...given),
  sweepTrial: async (...given) => (await import("../library/sweep.js")).sweepTrial(...given),
  sync: async (...given) => (await import("../library/runs.js")).sync(...given),
};
