/** Which devices an engine runs on, as all configurations check it. */

const DEVICES = {
  onnx: ["auto", "cpu", "webgpu", "cuda"],
  tfjs: ["auto", "cpu", "wasm", "tensorflow"],
} as const;

/** What is wrong with the device of a configuration; undefined where the engine has it. */
export function deviceIssue(engine: keyof typeof DEVICES, device: string): string | undefined {
  const devices: readonly string[] = DEVICES[engine];
  return devices.includes(device)
    ? undefined
    : `expected one of ${devices.join(", ")} with engine ${engine}, found ${device}`;
}
