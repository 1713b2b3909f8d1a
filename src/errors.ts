/**
 * The errors a person at the terminal can act on. Every message says where (file, tensor, config key),
 * what was expected, what was found and what to do; the CLI prints the message alone and keeps the stack
 * for `--debug`. Anything else that is thrown is a bug of ours and exits with code 1.
 */

import { withoutCredentials } from "./runtime/credentials.js";
import { shownText } from "./runtime/printable.js";

/** A mistake outside the program. Its message may hold foreign text and addresses: whoever shows or stores it gets them harmless. `exitCode` follows the table in the README (2 usage, 3 input, 4 numeric, 5 tracker). */
export class UserError extends Error {
  readonly exitCode: number = 2;
  override readonly name: string = "UserError";

  constructor(message = "", options?: ErrorOptions) {
    super(shownText(withoutCredentials(message)), options);
  }
}

/** A wrong command line or configuration (exit code 2). */
export class ConfigError extends UserError {
  override readonly name = "ConfigError";
}

/** A checkpoint, bundle or coefficients file that cannot be used (exit code 3). */
export class CheckpointError extends UserError {
  override readonly exitCode = 3;
  override readonly name = "CheckpointError";
}

/** A data set, image or label that cannot be used (exit code 3). */
export class DataError extends UserError {
  override readonly exitCode = 3;
  override readonly name = "DataError";
}

/** A repository or file on the Hugging Face hub that cannot be had (exit code 3). */
export class HubError extends UserError {
  override readonly exitCode = 3;
  override readonly name = "HubError";
}

/** A computation that left the finite numbers, or an operation an engine cannot run (exit code 4). */
export class NumericError extends UserError {
  override readonly exitCode = 4;
  override readonly name = "NumericError";
}

/** A tracking server that was required and could not be used (exit code 5). */
export class TrackerError extends UserError {
  override readonly exitCode = 5;
  override readonly name = "TrackerError";
}

/** One of our own invariants is broken: a bug, wherever it is noticed. `internalError` words it. */
export class InternalError extends Error {
  override readonly name = "InternalError";
}

/** The error for a broken invariant. */
export function internalError(what: string): InternalError {
  return new InternalError(`internal error: ${what} (a bug in adamerge, please report it)`);
}

const CLASSES = [
  UserError,
  ConfigError,
  CheckpointError,
  DataError,
  HubError,
  NumericError,
  TrackerError,
  InternalError,
] as const;

/** An error that another thread or process sent as text: errors lose their class on the way. */
export function rebuiltError(name: string, message: string): Error {
  const found = CLASSES.find((known) => known.name === name);
  return found === undefined ? new Error(message) : new found(message);
}

/** Throws when one of our own invariants is broken; never used to check what a user gave. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw internalError(message);
}
