/** `doctor` for programs: which engines and devices work on this machine, and what to do about those that do not. */
import type { DoctorReport } from "../report/summary.js";
import { describeEnvironment } from "../run/doctor/describe-environment.js";
import { resolveLightWork, type WorkOptions } from "./work-options.js";

/**
 * Checks engines, devices, memory, the cache and the tracking server, as `adamerge doctor`. Failures are checks with
 * advice, not errors. Throws ConfigError for an address of a server that cannot be one.
 */
export function doctor(options: WorkOptions = {}): Promise<DoctorReport> {
  const { cacheDir, tracking } = resolveLightWork(options);
  return describeEnvironment({
    cacheDir,
    tracking: tracking !== undefined && "uri" in tracking ? tracking : undefined,
    fetch,
  });
}
