/** What people are told when models are PyTorch files. */
import type { Checkpoint } from "../checkpoint.js";

/** A sentence about those of the checkpoints that are PyTorch files; undefined if none is. */
export function pytorchNotice(checkpoints: readonly Pick<Checkpoint, "path" | "format">[]): string | undefined {
  const [first, ...others] = checkpoints.filter(({ format }) => format === "pytorch");
  if (first === undefined) return undefined;
  const which =
    others.length === 0
      ? `${first.path} is a PyTorch file: its`
      : `${first.path} and ${others.length} more are PyTorch files: their`;
  return `${which} tensors are read, nothing in ${others.length === 0 ? "it" : "them"} is executed. Prefer safetensors where there is a choice`;
}
