/** ONNX Runtime's messages in words for the person at the terminal. The first is what 1.30's CUDA provider says where there is no card. */
import { expect, it } from "vitest";
import { briefReason, explanation } from "../../src/engine/onnx/runtime-errors.js";
import { ConfigError, NumericError } from "../../src/errors.js";

const call =
  "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:146 std::conditional_t<THRW, void, onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, int) [with ERRTYPE = cudaError; bool THRW = true]";
const details =
  "GPU=-1 ; hostname=vm ; file=/onnxruntime_src/cuda_execution_provider.cc ; line=352 ; expr=cudaSetDevice(info_.device_id); \n\n";
const driver = `${call} ${call} CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; ${details}`;

it("says what CUDA says, without places in sources", () => {
  const reason = "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version";
  expect(briefReason(driver)).toBe(reason);
  const error = explanation(driver, "program step", "cuda");
  expect(error).toBeInstanceOf(NumericError);
  expect(error.message).toBe(`program step failed in ONNX Runtime: ${reason}`);
});

it.each([
  `${call} CUDA failure 2: out of memory ; ${details}`,
  "/onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:376 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool) Failed to allocate memory for requested buffer of size 3221225472",
])("a card whose memory is full: what to lower", (message) => {
  const error = explanation(message, "program step", "cuda");
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.message).toMatch(/^program step: the memory of the device \(cuda\) is full .*memory_gb.*float16/);
});

it("keeps other messages, and cuts a probe's to a line", () => {
  expect(explanation("odd", "program step", "cpu").message).toBe("program step failed in ONNX Runtime: odd");
  expect(briefReason(`/a.cc:1 x was false. short\nmore`)).toBe("short");
  expect(briefReason("a".repeat(200))).toHaveLength(160);
});
