/** The state of reading a pickle: the bytes and the place in them, the stack with its marks, and the memo. What instructions do is in pickle.ts. */
import { CheckpointError } from "../../errors.js";
import { quote } from "../../runtime/printable.js";
import { decodeUtf8 } from "../../runtime/regular-file.js";
import type { PickledValue } from "./pickled-values.js";

/** State dicts nest 5 deep. */
const MAX_DEPTH = 64;
/** Names of tensors, and notes in a checkpoint. */
const MAX_STRING_BYTES = 1_000_000;
/** Of a module's and a class's name. */
const MAX_GLOBAL_BYTES = 256;
/** Something that Python would import. Files of whole modules have one, and so have attacks. */
export class UnknownClassError extends CheckpointError {
  constructor(
    message: string,
    readonly className: string,
  ) {
    super(message);
  }
}

export class PickleMachine {
  private readonly stack: PickledValue[] = [];
  private readonly marks: number[] = [];
  private readonly memo = new Map<number, PickledValue>();
  private readonly view: DataView;
  private position = 0;
  private from = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly where: string,
    /** Of a TorchScript program, which has objects of its own classes. */
    readonly isScript: boolean,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  fail(expected: string, found: string): never {
    throw new CheckpointError(
      `${this.where}: expected ${expected} at byte ${this.from}, found ${found}. Get the file again from its source.`,
    );
  }

  /** The next instruction's code. */
  byte(): number {
    this.from = this.position;
    return this.unsigned(1);
  }

  unsigned(size: 1 | 2 | 4): number {
    const at = this.advance(size);
    return size === 1
      ? this.view.getUint8(at)
      : size === 2
        ? this.view.getUint16(at, true)
        : this.view.getUint32(at, true);
  }

  signed(): number {
    return this.view.getInt32(this.advance(4), true);
  }

  double(): number {
    return this.view.getFloat64(this.advance(8), false);
  }

  take(size: number): Uint8Array {
    const at = this.advance(size);
    return this.bytes.subarray(at, at + size);
  }

  text(size: number): string {
    if (size > MAX_STRING_BYTES) this.fail(`texts of at most ${MAX_STRING_BYTES} bytes`, `${size}`);
    return decodeUtf8(this.take(size)) ?? this.fail("text in UTF-8", "bytes that are not");
  }

  line(): string {
    const end = this.bytes.subarray(0, this.position + MAX_GLOBAL_BYTES).indexOf(0x0a, this.position);
    if (end < 0) this.fail(`a name of at most ${MAX_GLOBAL_BYTES} bytes`, "a longer one");
    const text = this.text(end - this.position);
    this.advance(1);
    return text;
  }

  private advance(size: number): number {
    const at = this.position;
    if (at + size > this.bytes.length) this.fail("a complete pickle", "its end");
    this.position = at + size;
    return at;
  }

  push(value: PickledValue): void {
    this.stack.push(value);
  }

  /** Never from below the last mark. */
  pop(): PickledValue {
    const value = this.stack.length > (this.marks.at(-1) ?? 0) ? this.stack.pop() : undefined;
    return value === undefined ? this.fail("a value on the stack", "none") : value;
  }

  top(): PickledValue {
    const value = this.stack.length > (this.marks.at(-1) ?? 0) ? this.stack.at(-1) : undefined;
    return value === undefined ? this.fail("a value on the stack", "none") : value;
  }

  mark(): void {
    if (this.marks.length === MAX_DEPTH) this.fail(`values at most ${MAX_DEPTH} deep`, "deeper ones");
    this.marks.push(this.stack.length);
  }

  popToMark(): PickledValue[] {
    const mark = this.marks.pop();
    return mark === undefined ? this.fail("a mark on the stack", "none") : this.stack.splice(mark);
  }

  remember(index: number): void {
    this.memo.set(index, this.top());
  }

  recall(index: number): void {
    const value = this.memo.get(index);
    if (value === undefined) this.fail(`a value remembered as ${index}`, "none");
    else this.push(value);
  }

  finish(): PickledValue {
    const [value] = this.stack;
    if (value === undefined || this.stack.length !== 1 || this.marks.length > 0)
      return this.fail("one value at the end", `${this.stack.length}`);
    if (this.position !== this.bytes.length)
      this.fail("nothing after the end", `${this.bytes.length - this.position} bytes`);
    return value;
  }

  refuseClass(name: string): never {
    throw new UnknownClassError(
      `${this.where}: expected only tensors in dictionaries, found the Python class or function ${quote(name)}.`,
      name,
    );
  }
}
