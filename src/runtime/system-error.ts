/**
 * Errors of the operating system in words: which path, what could not be done with it and what to do. Whoever reads or writes something says
 * more, with what was expected there; this is the net under them, so that a full disk or a missing permission is never shown as a bug.
 */
import { DataError, NumericError, UserError } from "../errors.js";
import { printable } from "./printable.js";

/** What a person can do about each. */
const ADVICE: ReadonlyMap<string, string> = new Map([
  ["ENOSPC", "free space on this disk or choose another folder"],
  ["EDQUOT", "free space within your quota or choose another folder"],
  [
    "EFBIG",
    "files here may not be that large (`ulimit -f`, or the file system); raise the limit or choose another folder",
  ],
  ["EACCES", "check the permissions of the folder"],
  ["EPERM", "check the permissions of the folder"],
  ["EROFS", "the file system is read-only; choose another folder"],
  ["EIO", "the disk reported a fault; choose another folder and check the disk"],
  ["ENOTDIR", "a parent of this path is a file; choose another path"],
  ["EEXIST", "a parent of this path is a file; choose another path"],
  ["EISDIR", "this path is a directory; choose another name"],
  ["ENAMETOOLONG", "choose a shorter name"],
  ["ELOOP", "links lead in a circle; give the path of the file itself"],
  ["ENOENT", "check the path"],
  ["EMFILE", "too many files are open; raise the limit (`ulimit -n 4096`)"],
  ["ENFILE", "too many files are open on this machine; end other programs"],
  ["ENOMEM", "there is not enough memory; end other programs"],
  ["EAGAIN", "there are too many processes or threads; raise the limit (`ulimit -u`) or end other programs"],
  ["EBUSY", "another program uses it; end that, or choose another path"],
  ["ETXTBSY", "another program uses it; end that, or choose another path"],
  ["ESTALE", "the network file system lost the file; try again"],
  ["EINVAL", "the file system does not know this operation; choose a folder on another one"],
  ["ENOTSUP", "the file system does not know this operation; choose a folder on another one"],
  ["ENOSYS", "the file system does not know this operation; choose a folder on another one"],
  ["EXDEV", "choose a folder on one file system"],
]);

/** System calls that only look: what fails there is an input. */
const LOOKING = /^(f?l?stat|statfs|read|pread|readlink|realpath|scandir|opendir|access)$/;
/** What failed, as an ending of "could not be"; other calls are "used". */
const DONE: ReadonlyMap<string, string> = new Map([
  ["open", "opened"],
  ["read", "read"],
  ["scandir", "listed"],
  ["opendir", "listed"],
  ["mkdir", "made"],
  ["mkdtemp", "made"],
  ["write", "written"],
  ["fsync", "written"],
  ["ftruncate", "written"],
  ["rename", "renamed"],
  ["copyfile", "copied"],
  ["unlink", "deleted"],
  ["rmdir", "deleted"],
  ["rm", "deleted"],
  ["spawn", "started"],
]);

/** The part of an error that a failed system call has. */
interface SystemError extends Error {
  readonly code: string;
  readonly syscall: string;
  readonly path?: string;
}

/** What to do about a system error of this code; undefined when there is nothing to say. */
export function adviceFor(code: string): string | undefined {
  return ADVICE.get(code);
}

/** The code (`ENOENT`) of a failed system call; undefined for other errors. */
export function systemCode(error: unknown): string | undefined {
  return isSystemError(error) ? error.code : undefined;
}

/** An error of the user's kind for what the system refused; undefined for errors of another kind. */
export function explainSystemError(error: unknown): UserError | undefined {
  if (!(error instanceof Error)) return undefined;
  if (isSystemError(error)) return explained(error);
  const code = "code" in error ? error.code : undefined;
  if (code === "ERR_INVALID_ARG_VALUE" && error.message.includes("null bytes"))
    return new UserError(
      `expected a path without NUL characters, found ${printable(error.message.replace(/^.*Received /s, ""))}. Check the names in the configuration and on the command line.`,
      { cause: error },
    );
  if (code === "ERR_FS_FILE_TOO_LARGE" || code === "ERR_STRING_TOO_LONG")
    return new DataError(`a file: expected one that fits into memory (${error.message}). Give a smaller one.`, {
      cause: error,
    });
  if (error instanceof RangeError && error.message === "Array buffer allocation failed")
    return new NumericError("there is not enough memory. End other programs, or use a machine with more.", {
      cause: error,
    });
  return undefined;
}

function explained(error: SystemError): UserError {
  const { code, syscall, path } = error;
  // Node's text ends in the call and its paths, which are said in our words.
  const reason = error.message.replace(/, \S+( '.*)?$/s, "");
  if (syscall === "uv_cwd")
    return new UserError(
      "the working folder: expected one that exists, found that it was deleted. Change to another.",
      {
        cause: error,
      },
    );
  const where = path === undefined ? "a file" : printable(path);
  const done = DONE.get(syscall) ?? (LOOKING.test(syscall) ? "looked at" : "used");
  const advice = adviceFor(code);
  const message = `${where}: could not be ${done} (${reason})${advice === undefined ? "." : `. What to do: ${advice}.`}`;
  return LOOKING.test(syscall) ? new DataError(message, { cause: error }) : new UserError(message, { cause: error });
}

function isSystemError(error: unknown): error is SystemError {
  return (
    error instanceof Error &&
    "code" in error &&
    typeof error.code === "string" &&
    "syscall" in error &&
    typeof error.syscall === "string" &&
    (!("path" in error) || typeof error.path === "string")
  );
}
