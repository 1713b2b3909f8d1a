/**
 * Read-only memory mapping of a file through koffi, so that frozen tensors are fed to an engine without a
 * copy and all processes of a machine share one. It is not for files that others write: touching a page that a
 * mapped file no longer has kills the process, so only private, content-addressed, write-protected bundles are mapped, every use is
 * preceded by `check`, and each worker thread maps for itself (a mapped buffer cannot be transferred).
 */
import { closeSync, fstatSync, openSync, type Stats } from "node:fs";
import { createRequire } from "node:module";
import { UserError } from "../errors.js";

/** The values of <sys/mman.h>, the same on Linux and macOS. */
const PROT_READ = 1;
const MAP_PRIVATE = 2;
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

export interface MappedFile {
  /** The whole file. Writing to it kills the process; using it after `close` does too. */
  readonly buffer: ArrayBuffer;
  /** Throws UserError when the mapped file was cut or written to meanwhile; call it before reading from `buffer`. A file that was replaced or deleted stays as it was mapped. */
  check(): void;
  /** Unmaps; safe to call twice. Release everything that looks into `buffer` first. */
  close(): void;
}

interface Mapping {
  readonly buffer: ArrayBuffer;
  unmap(): void;
}

interface Posix {
  map(fd: number, sizeBytes: number): Mapping;
}

/** Whether `mapFile` works on this system: 64-bit Linux or macOS with a loadable koffi. */
export function canMapFiles(): boolean {
  try {
    loadPosix();
    return true;
  } catch {
    return false;
  }
}

/**
 * Maps the file at `path` read-only. Throws UserError on systems without POSIX mmap and when the system refuses.
 * The buffer must not be used after `close`, and must not be posted to another thread.
 */
export function mapFile(path: string): MappedFile {
  const posix = loadPosix();
  let fd: number | undefined;
  try {
    fd = openSync(path, "r");
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new UserError(`${path}: expected a regular file to map, found something else.`);
    // mmap refuses a length of zero.
    const mapping = stat.size === 0 ? { buffer: new ArrayBuffer(0), unmap: () => {} } : posix.map(fd, stat.size);
    return openMapping(path, fd, stat, mapping);
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    if (error instanceof UserError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(
      `${path}: could not be mapped (${reason}). Check the path, its permissions and the memory limits.`,
    );
  }
}

/** The descriptor stays open: it is what tells about the mapped file, whatever has its name meanwhile. */
function openMapping(path: string, fd: number, mapped: Stats, { buffer, unmap }: Mapping): MappedFile {
  let open = true;
  return {
    buffer,
    check: () => {
      const { size, mtimeMs } = fstatSync(fd);
      if (size === mapped.size && mtimeMs === mapped.mtimeMs) return;
      const found = size === mapped.size ? "it was written to" : `it has ${size}`;
      throw new UserError(
        `${path}: expected the ${mapped.size} bytes that were mapped, found that ${found}: another program changed it while it was in use. ` +
          "Delete it; the next start builds it again",
      );
    },
    close: () => {
      if (!open) return;
      open = false;
      unmap();
      closeSync(fd);
    },
  };
}

let loaded: Posix | undefined;

/** Loads koffi at the first use, not at import: most commands never map a file. */
function loadPosix(): Posix {
  loaded ??= bindPosix();
  return loaded;
}

function bindPosix(): Posix {
  const supported = (process.platform === "linux" || process.platform === "darwin") && /64$/.test(process.arch);
  if (!supported) {
    throw new UserError(
      `mapping files: expected 64-bit Linux or macOS, found ${process.platform} ${process.arch}. Read the file into memory instead.`,
    );
  }
  const koffi: typeof import("koffi") = createRequire(import.meta.url)("koffi");
  // null is the running program itself, which has the C library whatever its file name (glibc, musl, macOS).
  const libc = koffi.load(null);
  const mmap = libc.func("void *mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)");
  const munmap = libc.func("int munmap(void *address, size_t length)");
  return {
    map: (fd, sizeBytes) => {
      const pointer: unknown = mmap(null, sizeBytes, PROT_READ, MAP_PRIVATE, fd, 0);
      if (pointer === null || BigInt.asUintN(64, koffi.address(pointer)) === MAP_FAILED) {
        throw new Error(`mmap of ${sizeBytes} bytes failed, errno ${koffi.errno()}`);
      }
      return { buffer: koffi.view(pointer, sizeBytes), unmap: () => munmap(pointer, sizeBytes) };
    },
  };
}
