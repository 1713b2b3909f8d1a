/** A process of the pool: fits trials, one after another. */
import process from "node:process";
import { serveJobs } from "../../launch/process-pool.js";
import { fitTrial, type TrialJob, type TrialOutcome } from "./fit-trial.js";

// A log that cannot be written ends no work.
process.stderr.on("error", () => {});
serveJobs<TrialJob, TrialOutcome>(process, fitTrial);
