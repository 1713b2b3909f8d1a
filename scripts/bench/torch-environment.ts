/** Finds a Python that has PyTorch, or says how to get one. Benchmarks compare with it; nothing else needs it. */
import { spawnSync } from "node:child_process";

const CHECK = "import torch, numpy, safetensors";

/** `asked` or python3. Throws with the command that makes an environment when the packages are not there. */
export function findTorch(asked: string | undefined): string {
  const python = asked ?? "python3";
  const { status } = spawnSync(python, ["-c", CHECK]);
  if (status === 0) return python;
  throw new Error(
    `${python} has no torch, numpy and safetensors, which this benchmark compares with. Make an environment and name it:\n` +
      "  python3 -m venv bench-env && bench-env/bin/pip install torch numpy safetensors\n" +
      "  npm run bench -- step --python bench-env/bin/python",
  );
}
