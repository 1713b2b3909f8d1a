/** What ONNX Runtime's errors mean for the person at the terminal: its messages begin with places in its sources. */
import { ConfigError, InternalError, NumericError, UserError } from "../../errors.js";
import type { Program } from "../program.js";

/** Of a message that is shown whole. */
const LONGEST_CHARACTERS = 160;
/** CUDA's own words for what failed, as every call of the provider reports it. */
const CUDA_FAILURE = /CUDA failure (\d+): (.*?) ;/s;
/** CUDA's error code cudaErrorMemoryAllocation; else the words of ONNX Runtime's allocator, which asks the device for large blocks. */
const CUDA_OUT_OF_MEMORY = "2";
const OUT_OF_MEMORY =
  /Failed to allocate memory for requested buffer|Available memory of \d+ is smaller than requested/;

/** The result; what failed is thrown as an error that names the program, and what to do where that is known. */
export async function explained<T>(program: Program, device: string, result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    // What we said ourselves, of a file or of the thread, is said already.
    if (!(error instanceof Error) || error instanceof UserError || error instanceof InternalError) throw error;
    throw explanation(error.message, `program ${program.name}`, device, error);
  }
}

/** The error for a message of ONNX Runtime. `device` is that of the engine, `where` begins the sentence. */
export function explanation(message: string, where: string, device: string, cause?: unknown): UserError {
  if (/requires f16 but the device does not support it/.test(message))
    return new ConfigError(
      `${where}: this device has no float16 arithmetic (WebGPU's shader-f16); use task_vectors.dtype=float32, or device=cpu`,
      { cause },
    );
  if (message.includes("fallback to CPU EP"))
    return new NumericError(
      `${where}: an operation has no kernel on ${device}, and running it on the CPU would copy to and fro in every step; use device=cpu`,
      { cause },
    );
  const [, code] = CUDA_FAILURE.exec(message) ?? [];
  if (device !== "cpu" && (code === CUDA_OUT_OF_MEMORY || OUT_OF_MEMORY.test(message)))
    return new ConfigError(
      `${where}: the memory of the device (${device}) is full (${briefReason(message)}); lower memory_gb, which computes a step in more passes, use task_vectors.dtype=float16, or device=cpu`,
      { cause },
    );
  const reason = code === undefined ? message : briefReason(message);
  return new NumericError(`${where} failed in ONNX Runtime: ${reason}`, { cause });
}

/** What matters of a message, in a line: source positions are in front of it, and stack-like details after it. */
export function briefReason(message: string): string {
  const [, code, words] = CUDA_FAILURE.exec(message) ?? [];
  if (words !== undefined) return `CUDA failure ${code}: ${words.trim()}`;
  const text = message.replace(/^program \S+ failed in ONNX Runtime: /, "").replace(/^.*\bwas false\. /s, "");
  const line = text.split("\n")[0] ?? "";
  return line.length > LONGEST_CHARACTERS ? `${line.slice(0, LONGEST_CHARACTERS - 3)}...` : line;
}
