/** Which of CUDA's libraries are loaded, and what is said where one is missing; and the script that readies them. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { cudaLibrary, loadCuda, runtimePlace } from "../../src/engine/onnx/cuda-libraries.js";
import { loadSharedLibrary } from "../../src/runtime/shared-library.js";
import { ROOT } from "../support/cli.js";

const SCRIPT = join(ROOT, "scripts", "install", "cuda.mjs");
const PROVIDER = "libonnxruntime_providers_cuda.so";
let root = "";
let place: { folder: string; version: string };
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "cuda-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A machine that has some libraries: what is asked for, and what that gives. */
function machine(name: string, files: readonly string[], missing: readonly string[] = []) {
  const folder = join(root, name);
  for (const file of files) {
    mkdirSync(join(folder, file, ".."), { recursive: true });
    writeFileSync(join(folder, file), "");
  }
  mkdirSync(folder, { recursive: true });
  place = { folder, version: "1.30.0" };
  const asked: string[] = [];
  const failure = loadCuda(place, (library) => {
    asked.push(library);
    return missing.some((one) => library.endsWith(one)) ? "no such file" : undefined;
  });
  return { failure, asked };
}

it("asks for the driver first, then for the provider", () => {
  expect(machine("nothing", [], ["libcuda.so.1"])).toEqual({
    failure: "NVIDIA's driver is not installed (no libcuda.so.1)",
    asked: ["libcuda.so.1"],
  });
  expect(machine("driver", []).failure).toMatch(/CUDA libraries are not installed; ready them: `npm run cuda`/);
});

it("takes libraries of the folder before the system's", () => {
  const { failure, asked } = machine("wheels", [PROVIDER, "nvidia/libcublas.so.13"]);
  expect(failure).toBeUndefined();
  expect(asked).toContain(join(place.folder, "nvidia", "libcublas.so.13"));
  expect(asked).toContain("libcudnn.so.9");
  expect(cudaLibrary(place)).toBe("ONNX Runtime 1.30.0, CUDA 13 and cuDNN 9 from PyPI's wheels");
  machine("system", [PROVIDER]);
  expect(cudaLibrary(place)).toBe("ONNX Runtime 1.30.0, CUDA 13 and cuDNN 9 of the system");
});

it("names the library that is missing, but not one that may be", () => {
  expect(machine("half", [PROVIDER], ["libcudnn.so.9"]).failure).toMatch(
    /^libcudnn\.so\.9 cannot be loaded \(no such file\); ready CUDA's libraries/,
  );
  expect(machine("plain", [PROVIDER], ["libcufft.so.12"]).failure).toBeUndefined();
});

it("refuses the provider of another version", () => {
  expect(machine("old", [PROVIDER, "adamerge-cuda-1.29.0"]).failure).toMatch(
    /provider is of ONNX Runtime 1\.29\.0, the installed one is 1\.30\.0/,
  );
  expect(machine("same", [PROVIDER, "adamerge-cuda-1.30.0"]).failure).toBeUndefined();
});

it("loads a library of the system, and says in the linker's words when there is none", () => {
  expect(loadSharedLibrary("libthere-is-none.so.1")).toMatch(/cannot open|not found|no such/i);
  if (process.platform === "linux") expect(loadSharedLibrary("libm.so.6")).toBeUndefined();
});

it("the script fetches the provider of the ONNX Runtime that is installed, and refuses what it does not know", () => {
  expect(/RUNTIME = "(.+)"/.exec(readFileSync(SCRIPT, "utf8"))?.[1]).toBe(runtimePlace().version);
  const { status, stderr } = spawnSync(process.execPath, [SCRIPT, "--cpu"], { encoding: "utf8" });
  expect([status, stderr]).toEqual([1, "cuda: expected no argument or --system, found --cpu\n"]);
});
