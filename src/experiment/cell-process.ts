/** A process of the pool: computes cells, one after another. */
import process from "node:process";
import { serveJobs } from "../launch/process-pool.js";
import { type CellJob, runCellJob } from "./cell-job.js";
import type { CellResult } from "./results.js";

serveJobs<CellJob, CellResult>(process, runCellJob);
