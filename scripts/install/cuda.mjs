/**
 * Readies CUDA for the engine `onnx` from PyPI alone: ONNX Runtime's CUDA provider of the version that is installed lies in the wheel of onnxruntime-gpu, and
 * CUDA's libraries and cuDNN in NVIDIA's own wheels. `device=cuda` runs on them; NVIDIA's driver (580 or later) must be on the machine.
 *
 *     npm run cuda                                             # in the source tree
 *     node node_modules/adamerge/scripts/install/cuda.mjs      # where adamerge is installed as a package
 *     ... --system                                             # CUDA 13 and cuDNN 9 are on the machine: only the provider
 *
 * Takes pip; Linux on x64. The libraries (2 GB, 0.3 GB with --system) are kept in adamerge's cache, where all projects share them; beside ONNX Runtime's
 * library are links to them, until the next `npm ci`. Nothing appears half: folders are made under another name and renamed.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { readManifest, runScript, Stop, unpackedWheels } from "./wheels.mjs";

/** Of onnxruntime-node, whose provider this is; another version's would be refused when it is loaded. */
const RUNTIME = "1.30.0";
const PROVIDER = {
  name: "onnxruntime-gpu",
  version: RUNTIME,
  platform: "manylinux_2_28_x86_64",
  sha256: "4fbf0c5d7b5fb99266c2e8a802e3e64af68bdc383e0f3c7349b985f1087eedaa",
  members: ["onnxruntime/capi/libonnxruntime_providers_cuda.so", "onnxruntime/capi/libonnxruntime_providers_shared.so"],
};

const CUDA = "13.0";
/** The wheels' names, versions, platforms and hashes; all that they hold is unpacked, and only the libraries are kept. */
const LIBRARIES = [
  ["nvidia-cuda-runtime", "13.0.96", "manylinux2014_x86_64", "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548"],
  ["nvidia-cuda-nvrtc", "13.0.88", "manylinux2010_x86_64", "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575"],
  ["nvidia-nvjitlink", "13.0.88", "manylinux2010_x86_64", "13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b"],
  ["nvidia-curand", "10.4.0.35", "manylinux_2_27_x86_64", "1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc"],
  ["nvidia-cufft", "12.0.0.61", "manylinux2014_x86_64", "6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3"],
  ["nvidia-cublas", "13.1.0.3", "manylinux_2_27_x86_64", "ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171"],
  ["nvidia-cudnn-cu13", "9.15.1.9", "manylinux_2_27_x86_64", "ebc9a647918df0d7298d67cfaf41579fd4c78ead9aba246f5ad9414d61b9ec4c"],
].map(([name, version, platform, sha256]) => ({ name, version, platform, sha256, members: ["nvidia/"] }));

/** The driver that CUDA's libraries of this version need. Source: NVIDIA's CUDA 13.0 release notes, table of driver versions. */
const DRIVER = "580.65";

runScript("cuda", main);

function main(args) {
  const unknown = args.find((arg) => arg !== "--system");
  if (unknown !== undefined) throw new Stop(`expected no argument or --system, found ${unknown}`);
  const { platform, arch } = process;
  if (platform !== "linux" || arch !== "x64")
    throw new Stop(`expected Linux on x64, for which PyPI has the libraries, found ${platform} on ${arch}`);
  const runtime = runtimeFolder();
  const folder = path.join(runtime, "bin", "napi-v6", "linux", "x64");
  const { version } = readManifest(runtime);
  if (version !== RUNTIME)
    throw new Stop(`expected ONNX Runtime ${RUNTIME}, whose provider this fetches, found onnxruntime-node ${version}`);
  const provider = unpackedWheels(path.join("cuda", `onnxruntime-${RUNTIME}-x64`), [PROVIDER], (unpacked) =>
    path.join(unpacked, "onnxruntime", "capi"),
  );
  for (const file of readdirSync(provider)) link(path.join(provider, file), path.join(folder, file));
  const libraries = path.join(folder, "nvidia");
  if (args.includes("--system")) rmSync(libraries, { recursive: true, force: true });
  else link(unpackedWheels(path.join("cuda", `nvidia-${CUDA}-x64`), LIBRARIES, gathered), libraries);
  writeFileSync(path.join(folder, `adamerge-cuda-${RUNTIME}`), "");
  console.log(
    `CUDA's libraries are ready; they need NVIDIA's driver, ${DRIVER} or later. \`adamerge doctor\` tries them; then device=cuda`,
  );
}

/** onnxruntime-node as adamerge finds it. */
function runtimeFolder() {
  try {
    return path.dirname(createRequire(import.meta.url).resolve("onnxruntime-node/package.json"));
  } catch {
    throw new Stop("expected adamerge's dependencies beside it, found no onnxruntime-node; run `npm ci` first");
  }
}

/** All libraries in one folder, where they find each other: the wheels have them in several. */
function gathered(unpacked) {
  const together = path.join(path.dirname(unpacked), "libraries");
  mkdirSync(together);
  for (const file of readdirSync(unpacked, { recursive: true, encoding: "utf8" })) {
    const name = path.basename(file);
    if (/\.so(\.\d+)*$/.test(name)) renameSync(path.join(unpacked, file), path.join(together, name));
  }
  return together;
}

function link(target, name) {
  if (existsSync(name)) rmSync(name, { recursive: true });
  symlinkSync(target, name);
}
