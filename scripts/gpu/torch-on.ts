/** PyTorch to compare with, where a Python has it: on the card if it sees one. */
import { spawnSync } from "node:child_process";

export interface Torch {
  /** Undefined: there is none, and steps are not compared. */
  readonly python?: string;
  readonly device: "cuda" | "cpu";
  /** Version and device, or what is missing. */
  readonly detail: string;
}

const LOOK =
  "import numpy, safetensors, torch; print(torch.__version__, torch.cuda.get_device_name(0) if torch.cuda.is_available() else '')";

export function torchOn(python: string): Torch {
  const { status, stdout } = spawnSync(python, ["-c", LOOK], { encoding: "utf8" });
  if (status !== 0)
    return {
      device: "cpu",
      detail: `not compared: ${python} has no torch, numpy and safetensors (python3 -m venv env && env/bin/pip install torch numpy safetensors, then --python env/bin/python)`,
    };
  const [version = "", ...card] = stdout.trim().split(" ");
  const device = card.length > 0 ? "cuda" : "cpu";
  return { python, device, detail: `${version} on ${card.length > 0 ? card.join(" ") : "the CPU"}` };
}
