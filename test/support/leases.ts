/** Whether files under the system's temporary folder can be leased: not on every file system, nor outside of Linux. */
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canMapFiles } from "../../src/runtime/mmap.js";
import { loadPosix } from "../../src/runtime/posix.js";

export const canLease = ((): boolean => {
  const leases = canMapFiles() ? loadPosix().leases : undefined;
  if (leases === undefined) return false;
  const folder = mkdtempSync(join(tmpdir(), "adamerge-lease-"));
  const path = join(folder, "file");
  writeFileSync(path, "x");
  const fd = openSync(path, "r");
  try {
    return leases.take(fd);
  } finally {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  }
})();

// Skipped tests do not tell why by themselves.
if (!canLease)
  console.warn("tests of files that change while they are mapped are skipped: no read leases on this file system");
