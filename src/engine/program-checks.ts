/** Checks of what is given to a compiled program against what the program declares; the same for every engine. */
import { assert, ConfigError } from "../errors.js";
import {
  type Executable,
  type InputType,
  type Program,
  sizeOf,
  type TensorSource,
  type TensorSpec,
  type TensorValues,
} from "./program.js";

const BYTES_PER_ELEMENT: Readonly<Record<InputType, number>> = { float32: 4, float16: 2, uint8: 1, int32: 4 };

/** The spec of a frozen tensor; throws ConfigError when the name is unknown or the size differs. */
export function checkBinding(program: Program, name: string, source: TensorSource): TensorSpec {
  const spec = program.frozen.get(name);
  if (spec === undefined) throw new ConfigError(`program ${program.name}: has no frozen tensor ${name}`);
  const expected = sizeOf(spec.shape) * BYTES_PER_ELEMENT[spec.dtype];
  const found = source.kind === "memory" ? source.values.byteLength : source.byteLength;
  if (found !== expected) {
    throw new ConfigError(
      `program ${program.name}: tensor ${name} needs ${expected} bytes (${spec.dtype} [${spec.shape.join(", ")}]), got ${found}`,
    );
  }
  return spec;
}

/** Throws ConfigError when an input is missing, unknown or of another size than declared. */
export function checkInputs(program: Program, inputs: ReadonlyMap<string, TensorValues>): void {
  for (const [name, spec] of program.inputs) {
    const values = inputs.get(name);
    if (values?.length !== sizeOf(spec.shape)) {
      throw new ConfigError(
        `program ${program.name}: input ${name} needs ${sizeOf(spec.shape)} values ([${spec.shape.join(", ")}]), got ${values?.length ?? "none"}`,
      );
    }
  }
  for (const name of inputs.keys()) {
    if (!program.inputs.has(name)) throw new ConfigError(`program ${program.name}: has no input ${name}`);
  }
}

/** `other` is the program of `beside`, where this engine has compiled it: its frozen tensors must have the same names and shapes. */
export function checkShared(program: Program, beside: Executable | undefined, other: Program | undefined): void {
  if (beside === undefined) return;
  assert(other !== undefined, `program ${program.name} shares tensors with one of another engine`);
  const of = ({ frozen }: Program): string =>
    JSON.stringify([...frozen].map(([name, { dtype, shape }]) => [name, dtype, shape]));
  assert(of(program) === of(other), `programs ${program.name} and ${other.name} have different frozen tensors`);
}
