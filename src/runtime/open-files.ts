/**
 * Files that are read again and again at many places, without anybody having to close them: a bounded number stays open, the one
 * that was read longest ago gives way. A file that is deleted while it is open stays readable. For files that nobody changes.
 */
import { closeSync, openSync, readSync } from "node:fs";

/** Far below the 1,024 that systems allow a process by default, far above the splits of one run. */
const MOST_OPEN = 128;

const opened = new Map<string, number>();

/** Opens the file that has this name now, whichever had it before. Throws what the system says. */
export function reopen(path: string): void {
  const before = opened.get(path);
  opened.delete(path);
  if (before !== undefined) closeSync(before);
  keep(path, openSync(path, "r"));
}

/** Fills `target` with the bytes of the file from `position` on; returns how many there were. Throws what the system says. */
export function readAt(path: string, target: Uint8Array, position: number): number {
  const fd = opened.get(path) ?? openSync(path, "r");
  keep(path, fd);
  let done = 0;
  while (done < target.byteLength) {
    const bytes = readSync(fd, target, done, target.byteLength - done, position + done);
    if (bytes === 0) break;
    done += bytes;
  }
  return done;
}

/** Last in the order is most recent. */
function keep(path: string, fd: number): void {
  opened.delete(path);
  opened.set(path, fd);
  const [[oldest, oldFd] = []] = opened;
  if (opened.size <= MOST_OPEN || oldest === undefined || oldFd === undefined) return;
  opened.delete(oldest);
  closeSync(oldFd);
}
