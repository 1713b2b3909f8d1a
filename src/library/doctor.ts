/** `doctor` for programs: which engines and devices work on this machine, and what to do about those that do not. */
import type { DoctorReport } from "../report/summary.js";
import { describeEnvironment } from "../run/doctor/describe-environment.js";
import { resolveLightWork, type WorkOptions } from "./work-options.js";

export function doctor(options: WorkOptions = {}): Promise<DoctorReport> {
  const { cacheDir, tracking } = resolveLightWork(options);
  return describeEnvironment({
    cacheDir,
    tracking: tracking !== undefined && "uri" in tracking ? tracking : undefined,
    fetch,
  });
}
