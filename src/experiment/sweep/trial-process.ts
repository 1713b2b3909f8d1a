/** A process of the pool: fits trials, one after another. */
import process from "node:process";
import { serveJobs } from "../../launch/process-pool.js";
import { fitTrial, type TrialJob, type TrialOutcome } from "./fit-trial.js";

serveJobs<TrialJob, TrialOutcome>(process, fitTrial);
