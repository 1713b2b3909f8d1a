/**
 * The few calls of the C library that Node lacks, through koffi: mapping files, and on Linux read leases. The kernel tells the holder of
 * a read lease before anybody may open the file for writing or cut it, and makes the other wait until the holder gives way.
 */
import { createRequire } from "node:module";
import { constants } from "node:os";
import { UserError } from "../errors.js";

/** The values of <sys/mman.h>, the same on Linux and macOS but for MAP_ANONYMOUS, which is used on Linux alone. */
const PROT_READ = 1;
const MAP_PRIVATE = 0x02;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;
/** The values of <fcntl.h> on Linux. */
const F_SETSIG = 10;
const F_SETLEASE = 1024;
const F_GETLEASE = 1025;
const F_RDLCK = 0;
const F_UNLCK = 2;

/** Pages of the address space, which all threads of the process share. */
export interface Pages {
  readonly address: bigint;
  readonly sizeBytes: number;
}

export interface Posix {
  /** Maps a file read-only. Throws Error with the errno. */
  map(fd: number, sizeBytes: number): Pages;
  /** A buffer over some of the bytes of pages; it must not be used after `unmap`, and cannot be posted to another thread. */
  view(pages: Pages, byteOffset: number, byteLength: number): ArrayBuffer;
  unmap(pages: Pages): void;
  /** Linux alone. */
  readonly leases?: Leases;
}

export interface Leases {
  /** Whether the lease could be had: not for another user's file, one that is open for writing, or on some network file systems. */
  take(fd: number): boolean;
  /** False as soon as somebody waits for the file. */
  isHeld(fd: number): boolean;
  release(fd: number): void;
  /** Puts zeros in the place of mapped pages, in one step for all threads: reading them then needs no file. */
  cover(pages: Pages): void;
}

let loaded: Posix | undefined;

/** Loads koffi at the first use, not at import: most commands never map a file. Throws UserError on systems without POSIX mmap. */
export function loadPosix(): Posix {
  loaded ??= bindPosix();
  return loaded;
}

type Koffi = typeof import("koffi");
type Library = ReturnType<Koffi["load"]>;

function bindPosix(): Posix {
  const supported = (process.platform === "linux" || process.platform === "darwin") && /64$/.test(process.arch);
  if (!supported) {
    throw new UserError(
      `mapping files: expected 64-bit Linux or macOS, found ${process.platform} ${process.arch}. Read the file into memory instead.`,
    );
  }
  const koffi: Koffi = createRequire(import.meta.url)("koffi");
  // null is the running program itself, which has the C library whatever its file name (glibc, musl, macOS).
  const libc = koffi.load(null);
  const mmap = libc.func(
    "intptr_t mmap(intptr_t address, size_t length, int protection, int flags, int fd, int64_t offset)",
  );
  const munmap = libc.func("int munmap(intptr_t address, size_t length)");
  const map = (at: bigint, sizeBytes: number, flags: number, fd: number): bigint => {
    const address = BigInt.asUintN(64, BigInt(mmap(at, sizeBytes, PROT_READ, MAP_PRIVATE | flags, fd, 0)));
    if (address === MAP_FAILED) throw new Error(`mmap of ${sizeBytes} bytes failed, errno ${koffi.errno()}`);
    return address;
  };
  return {
    map: (fd, sizeBytes) => ({ address: map(0n, sizeBytes, 0, fd), sizeBytes }),
    view: ({ address }, byteOffset, byteLength) => koffi.view(address + BigInt(byteOffset), byteLength),
    unmap: ({ address, sizeBytes }) => void munmap(address, sizeBytes),
    ...(process.platform === "linux"
      ? {
          leases: bindLeases(
            libc,
            ({ address, sizeBytes }) => void map(address, sizeBytes, MAP_FIXED | MAP_ANONYMOUS, -1),
          ),
        }
      : {}),
  };
}

function bindLeases(libc: Library, cover: (pages: Pages) => void): Leases {
  const fcntl = libc.func("int fcntl(int fd, int command, ...)");
  return {
    take: (fd) => {
      // The default signal of a broken lease ends the process; this one is ignored unless somebody asks for it, and leases are polled.
      if (fcntl(fd, F_SETSIG, "int", constants.signals.SIGURG) !== 0) return false;
      return fcntl(fd, F_SETLEASE, "int", F_RDLCK) === 0;
    },
    isHeld: (fd) => fcntl(fd, F_GETLEASE) === F_RDLCK,
    release: (fd) => void fcntl(fd, F_SETLEASE, "int", F_UNLCK),
    cover,
  };
}
