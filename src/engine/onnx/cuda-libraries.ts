/**
 * What ONNX Runtime's CUDA provider needs on Linux: NVIDIA's driver, CUDA's libraries and cuDNN, and the provider itself beside ONNX Runtime's own
 * library. npm's package has none of them; scripts/install/cuda.mjs puts the provider there, with a note of its version, and a folder of NVIDIA's libraries where the
 * system has none. Loading them here, before ONNX Runtime does, finds them in that folder and says which one is missing.
 */
import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { arch } from "node:os";
import { dirname, join } from "node:path";
import { loadSharedLibrary } from "../../runtime/shared-library.js";

/** What readies the libraries, where they are missing. */
export const READY_CUDA =
  "`npm run cuda` in adamerge's source tree, `node node_modules/adamerge/scripts/install/cuda.mjs` where it is installed";

const DRIVER = "libcuda.so.1";
const PROVIDER = "libonnxruntime_providers_cuda.so";
/** Of CUDA 13, for which this ONNX Runtime is built, and cuDNN 9; in this order, since some need others. */
const LIBRARIES = ["libcudart.so.13", "libcurand.so.10", "libcublasLt.so.13", "libcublas.so.13", "libcudnn.so.9"];
/** What those may ask for while they compute, loaded before them where they are. */
const OTHERS = ["libnvJitLink.so.13", "libnvrtc.so.13", "libcufft.so.12"];
/** Written by the script: the version of ONNX Runtime that the provider is of, in the file's name. */
const NOTE = /^adamerge-cuda-(.+)$/;
/** The script's folder of NVIDIA's libraries. */
const FOLDER = "nvidia";

/** Where ONNX Runtime looks for its providers, and which version it is. */
export interface RuntimePlace {
  readonly folder: string;
  readonly version: string;
}

/** The package that is installed. */
export function runtimePlace(): RuntimePlace {
  const require = createRequire(import.meta.url);
  const manifest = require.resolve("onnxruntime-node/package.json");
  const { version } = require(manifest) as { version: string };
  return { folder: join(dirname(manifest), "bin", "napi-v6", "linux", arch()), version };
}

/**
 * Loads them; returns a sentence on what is missing or of another version, and what to do about it. Undefined: all are loaded, and
 * whether the card computes is for a test to find out.
 */
export function loadCuda({ folder, version }: RuntimePlace, load = loadSharedLibrary): string | undefined {
  if (load(DRIVER) !== undefined) return `NVIDIA's driver is not installed (no ${DRIVER})`;
  if (!existsSync(join(folder, PROVIDER)))
    return `ONNX Runtime's CUDA libraries are not installed; ready them: ${READY_CUDA}`;
  const noted = notedVersion(folder);
  if (noted !== undefined && noted !== version)
    return `its CUDA provider is of ONNX Runtime ${noted}, the installed one is ${version}; ready it anew: ${READY_CUDA}`;
  const loadNamed = (name: string) => {
    const own = join(folder, FOLDER, name);
    return load(existsSync(own) ? own : name);
  };
  for (const name of OTHERS) loadNamed(name);
  for (const name of LIBRARIES) {
    const failure = loadNamed(name);
    if (failure !== undefined) return `${name} cannot be loaded (${failure}); ready CUDA's libraries: ${READY_CUDA}`;
  }
  return undefined;
}

/** What was loaded, in words. */
export function cudaLibrary({ folder, version }: RuntimePlace): string {
  const from = existsSync(join(folder, FOLDER)) ? "from PyPI's wheels" : "of the system";
  return `ONNX Runtime ${version}, CUDA 13 and cuDNN 9 ${from}`;
}

/** Undefined where others than the script put the provider there. */
function notedVersion(folder: string): string | undefined {
  return readdirSync(folder)
    .map((file) => NOTE.exec(file)?.[1])
    .find((version) => version !== undefined);
}
