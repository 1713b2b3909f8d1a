/**
 * Readies @tensorflow/tfjs-node-gpu without its own installer, which fetches a library of 2022 from outside the registries: its binding is compiled
 * from the sources in its npm package against the library that PyPI's TensorFlow wheel holds. `engine=tfjs device=tensorflow` runs on it.
 *
 *     npm run tensorflow                                             # in the source tree
 *     node node_modules/adamerge/scripts/install/tensorflow.mjs      # where adamerge is installed as a package
 *     ... --cuda                                                     # the wheel with the CUDA build of the library (x64)
 *
 * Takes npm, a C++ compiler and, for the wheel, pip; Linux on x64 or arm64. The library (850 MB) is kept in adamerge's cache, where all projects share
 * it. Done again, it fetches only what is missing, and compiles anew. Nothing appears half: files and folders are made under another name and renamed.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { readManifest, run, runScript, Stop, unpackedWheels } from "./wheels.mjs";

const TENSORFLOW = "2.21.0";
const PACKAGE = "@tensorflow/tfjs-node-gpu";
/** Node's stable C interface, which not every installation of Node brings headers for. */
const HEADERS = "node-api-headers@1.9.0";
/** The highest version of that interface that the package knows, and part of the folder where it looks for its binding. */
const NODE_API = 8;

const WHEELS = {
  x64: {
    name: "tensorflow-cpu",
    platform: "manylinux_2_27_x86_64",
    sha256: "2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c",
  },
  arm64: {
    name: "tensorflow",
    platform: "manylinux_2_27_aarch64",
    sha256: "4b24aca16d527a3cf1c37f720c04c484c3d20f4d0fdfa98632ac8b9f3be6eb5c",
  },
};
const CUDA_WHEEL = {
  name: "tensorflow",
  platform: "manylinux_2_27_x86_64",
  sha256: "9056fbc9ba04235810b71ae6cbd958a196e8804fb53bbcffbf3e23b56155f124",
};

const LIBRARIES = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"];
/** What the binding's sources include, by their folders below tensorflow/include. */
const INCLUDED = ["tensorflow/c/", "tensorflow/core/platform/", "tsl/", "xla/tsl/"];

/** The test computation: a product of matrices and its gradient, on the backend that the package registers. */
const TRY = `
const tf = require(${JSON.stringify(PACKAGE)});
const slope = tf.grad((x) => tf.matMul(x, x).sum())(tf.tensor2d([[1, 2], [3, 4]])).dataSync();
if (tf.getBackend() !== "tensorflow" || slope.join() !== "7,11,9,13") throw new Error("wrong result: " + slope.join());
console.log(tf.backend().binding.TF_Version + (tf.backend().isUsingGpuDevice ? " on a GPU" : " on the CPU"));
`;

runScript("tensorflow", main);

function main(args) {
  const unknown = args.find((arg) => arg !== "--cuda");
  if (unknown !== undefined) throw new Stop(`expected no argument or --cuda, found ${unknown}`);
  const wheel = wheelFor(args.includes("--cuda"));
  const modules = ourModules();
  const library = unpackedLibrary(wheel);
  const folder = installedPackage(modules);
  linkLibrary(library, folder);
  compile(folder, path.join(modules, "node-api-headers", "include"), library);
  const tried = run(process.execPath, ["-e", TRY], {
    cwd: path.dirname(modules),
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: "2" },
  });
  console.log(`TensorFlow ${tried.trim()} works: engine=tfjs device=tensorflow`);
}

function wheelFor(isCuda) {
  const { platform, arch } = process;
  if (platform !== "linux" || !(arch in WHEELS))
    throw new Stop(
      `expected Linux on x64 or arm64, found ${platform} on ${arch}; \`npm install ${PACKAGE}\` with its own installer may work there`,
    );
  if (!isCuda) return WHEELS[arch];
  if (arch !== "x64") throw new Stop(`--cuda: expected Linux on x64, for which there is a wheel, found ${arch}`);
  return CUDA_WHEEL;
}

/** The node_modules that has the tfjs which adamerge runs on: the binding must register itself with that one. */
function ourModules() {
  let core;
  try {
    core = createRequire(import.meta.url).resolve("@tensorflow/tfjs-core/package.json");
  } catch {
    throw new Stop("expected adamerge's dependencies beside it, found no @tensorflow/tfjs-core; run `npm ci` first");
  }
  return path.resolve(path.dirname(core), "..", "..");
}

/** The wheel's libraries and headers in adamerge's cache: lib/ and include/. */
function unpackedLibrary(wheel) {
  const members = [
    ...LIBRARIES.map((file) => `tensorflow/${file}`),
    ...INCLUDED.map((inner) => `tensorflow/include/${inner}`),
  ];
  const name = path.join("tensorflow", `${wheel.name}-${TENSORFLOW}-${process.arch}`);
  return unpackedWheels(name, [{ ...wheel, version: TENSORFLOW, members }], (work) => {
    const unpacked = path.join(work, "tensorflow");
    mkdirSync(path.join(unpacked, "lib"));
    for (const file of LIBRARIES) renameSync(path.join(unpacked, file), path.join(unpacked, "lib", file));
    // The names that the linker looks for; the first is that of TensorFlow's own C builds.
    symlinkSync("libtensorflow_cc.so.2", path.join(unpacked, "lib", "libtensorflow.so"));
    symlinkSync("libtensorflow_framework.so.2", path.join(unpacked, "lib", "libtensorflow_framework.so"));
    return unpacked;
  });
}

/** The package's folder, without its install script; of the version that adamerge's tfjs has. */
function installedPackage(modules) {
  const { version } = readManifest(path.join(modules, "@tensorflow", "tfjs-core"));
  const folder = path.join(modules, PACKAGE);
  if (readManifest(folder)?.version === version && existsSync(path.join(modules, "node-api-headers"))) return folder;
  console.log(`installing ${PACKAGE} ${version}`);
  const quiet = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  run("npm", ["install", ...quiet, `${PACKAGE}@${version}`, HEADERS], { cwd: path.dirname(modules) });
  return folder;
}

/** The binding looks for its library in deps/lib of its package. */
function linkLibrary(library, folder) {
  const deps = path.join(folder, "deps");
  rmSync(deps, { recursive: true, force: true });
  mkdirSync(deps);
  symlinkSync(path.join(library, "lib"), path.join(deps, "lib"));
}

function compile(folder, nodeHeaders, library) {
  const target = path.join(folder, "lib", `napi-v${NODE_API}`, "tfjs_binding.node");
  mkdirSync(path.dirname(target), { recursive: true });
  console.log("compiling its binding (a minute)");
  const compiler = process.env.CXX || "g++";
  const sources = readdirSync(path.join(folder, "binding"))
    .filter((file) => file.endsWith(".cc"))
    .map((file) => path.join(folder, "binding", file));
  const includes = [nodeHeaders, path.join(library, "include")].flatMap((inner) => ["-I", inner]);
  const options = ["-O2", "-shared", "-fPIC", "-std=c++17", `-DNAPI_VERSION=${NODE_API}`];
  const links = ["-L", path.join(library, "lib"), "-ltensorflow", "-ltensorflow_framework"];
  const found = "-Wl,-rpath,$ORIGIN/../../deps/lib";
  const advice = "on Debian: apt-get install g++; another compiler: CXX=clang++";
  run(compiler, [...options, ...includes, ...sources, ...links, found, "-o", `${target}.new`], {}, advice);
  renameSync(`${target}.new`, target);
}
