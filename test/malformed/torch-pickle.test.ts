/** PyTorch files that are wrong, hostile or of another kind: each is refused with its reason, soon, and without anything in it being executed. */
import { describe, expect, it } from "vitest";
import { dictOf, op, parts, storage, tensor, torchFile, zip } from "./make-torch-file.js";
import { temporaryCases } from "./torch-cases.js";

const cases = temporaryCases();

const six = Float32Array.from([1, 2, 3, 4, 5, 6]);
const sixBytes = new Uint8Array(six.buffer);
const call = (module: string, name: string, argument = op.text("echo")) =>
  `${op.global(module, name)}${op.mark}${argument}${op.tuple}${op.reduce}`;

it("the file that all cases start from is read", async () => {
  for (const isLong of [false, true]) {
    const found = await cases.open(zip(parts(dictOf(tensor()), sixBytes), { isLong }));
    expect(await found.readFloat32("t")).toEqual(six);
  }
});

describe("pickles", () => {
  it.each([
    ["os.system", call("os", "system"), /the Python class or function "os.system"/],
    ["builtins.eval", call("builtins", "eval"), /the Python class or function "builtins.eval"/],
    ["getattr", call("__builtin__", "getattr"), /the Python class or function "__builtin__.getattr"/],
    ["torch.load", call("torch", "load"), /the Python class or function "torch.load"/],
    ["_load_from_bytes", call("torch.storage", "_load_from_bytes"), /function "torch.storage._load_from_bytes"/],
    [
      "a name with dots",
      call("torch._utils", "_rebuild_tensor_v2.__globals__"),
      /"torch._utils._rebuild_tensor_v2.__globals__"/,
    ],
    ["a module with a space", call("torch FloatStorage", "x"), /"torch.FloatStorage x"/],
    ["a name with NUL", call("os\0", "system"), /"os\\u0000.system"/],
    ["a name without end", `c${"x".repeat(2000)}`, /expected a name of at most 256 bytes .*, found a longer one/],
    ["STACK_GLOBAL", `${op.text("os")}${op.text("system")}\x93`, /found 0x93 \(STACK_GLOBAL, which imports/],
    ["INST", `${op.mark}ios\nsystem\n`, /found 0x69 \(INST, which makes/],
    ["OBJ", `${op.mark}o`, /found 0x6f \(OBJ, which makes/],
    ["EXT1", "\x82\x01", /found 0x82 \(EXT1, which imports/],
    ["NEWOBJ", "\x81", /found 0x81 \(NEWOBJ, which makes/],
    ["NEWOBJ_EX", "\x92", /found 0x92 \(NEWOBJ_EX, which makes/],
    ["an unknown instruction", "\xfe", /found 0xfe \(unknown\)/],
    [
      "a call of a storage class",
      call("torch", "FloatStorage"),
      /a call that makes a tensor or dictionary .* torch.FloatStorage/,
    ],
    [
      "a call of a tensor",
      `${tensor()})${op.reduce}`,
      /a call that makes a tensor or dictionary .* found one of a tensor/,
    ],
    [
      "a call without a tuple",
      `${op.global("torch", "Size")}${op.list}${op.reduce}`,
      /a tuple of arguments .* found a list/,
    ],
    ["an OrderedDict with arguments", call("collections", "OrderedDict"), /an OrderedDict without arguments/],
    [
      "a tensor of no storage",
      `${op.global("torch._utils", "_rebuild_tensor_v2")})${op.reduce}`,
      /expected the storage of a tensor .* found none/,
    ],
    [
      "SETITEM on a list",
      `${op.list}${op.none}${op.none}${op.setItem}`,
      /a dictionary to put entries into .* found a list/,
    ],
    [
      "SETITEM on a tensor",
      `${tensor()}${op.none}${op.none}${op.setItem}`,
      /a dictionary to put entries into .* found a tensor/,
    ],
    [
      "SETITEMS of an odd number",
      `${op.dict}${op.mark}${op.none}${op.setItems}`,
      /keys with values .* found a key without one/,
    ],
    [
      "one key twice",
      `${op.dict}${op.mark}${op.text("a")}N${op.text("a")}N${op.setItems}`,
      /every key once .* found "a" twice/,
    ],
    ["APPEND on a dictionary", `${op.dict}${op.none}${op.append}`, /a list to append to .* found a dict/],
    ["BUILD on a tensor", `${tensor()}${op.dict}${op.build}`, /attributes of an OrderedDict .* those of a tensor/],
    ["BUILD on a dictionary", `${op.dict}${op.dict}${op.build}`, /attributes of an OrderedDict .* those of a dict/],
    ["an index of the memo that is not set", op.get(7), /a value remembered as 7 .* found none/],
    ["a stack emptied to its mark", `${op.none}${op.mark}\x85`, /a value on the stack .* found none/],
    ["a tuple without a mark", op.tuple, /a mark on the stack .* found none/],
    ["marks 65 deep", op.mark.repeat(65), /values at most 64 deep/],
    ["a text longer than the file", `X\xff\xff\x00\x00`, /a complete pickle .* found its end/],
    ["a text of 4 GB", `X\xff\xff\xff\xff`, /texts of at most 1000000 bytes .* found 4294967295/],
    ["bytes that are no text", `X\x01\x00\x00\x00\xff`, /text in UTF-8/],
    ["protocol 5", "\x80\x05", /protocol 2, .* found protocol 5/],
    ["a storage by text", `Pstorage\n`, /found 0x50 \(PERSID/],
    [
      "a storage of another kind",
      `${op.mark}${op.text("module")}${op.tuple}Q`,
      /a storage of a known type .* found a tuple/,
    ],
    [
      "a storage with a path for its key",
      storage({ key: "../0" }),
      /a storage of a known type with a number for its name/,
    ],
  ])("%s", async (_, instructions, message) => {
    await cases.expectRefusal(torchFile(dictOf(instructions)), message);
  });

  it.each([
    ["no STOP", dictOf(tensor()).slice(0, -1), /a complete pickle .* found its end/],
    ["two STOPs", `${dictOf(tensor())}.`, /nothing after the end .* found 1 bytes/],
    ["a second pickle", `${dictOf(tensor())}${dictOf(call("os", "system"))}`, /nothing after the end/],
    ["two values", `${op.start}${op.none}${op.none}.`, /one value at the end .* found 2/],
    ["an open mark", `${op.start}${op.none}${op.mark}.`, /one value at the end/],
    ["an empty stack", `${op.start}${op.reduce}.`, /a value on the stack .* found none/],
    ["nothing", "", /a complete pickle at byte 0, found its end/],
    ["a list that holds itself", `${op.start}${op.list}${op.put(0)}${op.get(0)}${op.append}.`, /found a list/],
    [
      "a dictionary that holds itself",
      dictOf(`${op.dict}${op.put(0)}${op.text("state_dict")}${op.get(0)}${op.setItem}`),
      /found a dict as "t"/,
    ],
    [
      "a billion laughs",
      dictOf(
        `${op.list}${op.put(0)}${Array.from({ length: 60 }, (_, i) => `${op.list}${op.mark}${op.get(i).repeat(10)}e${op.put(i + 1)}`).join("")}${op.get(60)}`,
      ),
      /one value at the end|found a list/,
    ],
    ["an integer of 255 bytes", dictOf(op.long(...new Array(255).fill(0x7f))), /found \d{40} as "t"/],
    ["six million instructions", `${op.start}${`${op.none}\x85`.repeat(3_000_000)}`, /at most 5000000 instructions/],
    ["no tensors", `${op.start}${op.dict}.`, /found an empty dictionary/],
    [
      "a name that is a number",
      `${op.start}${op.dict}${op.integer(1)}${tensor()}${op.setItem}.`,
      /found a tensor as 1 among/,
    ],
    ["an empty name", `${op.start}${op.dict}${op.text("")}${tensor()}${op.setItem}.`, /tensors with names/],
  ])("%s", async (_, pickle, message) => {
    await cases.expectRefusal(torchFile(pickle), message);
  });

  it("of 60 MB is not read", async () => {
    await cases.expectRefusal(
      torchFile(op.none.repeat(60_000_000)),
      /a record data.pkl of at most 50000000 bytes, found 60000000/,
    );
  });
});

describe("checkpoints of training", () => {
  const entry = (key: string, value: string) => `${op.text(key)}${value}${op.setItem}`;
  const model = `${op.dict}${entry("model.w", tensor())}`;
  const file = (...entries: string[]) => torchFile(`${op.start}${op.dict}${entries.join("")}.`);

  it.each(["state_dict", "model_state_dict", "model", "module"])("have the model's tensors as %s", async (key) => {
    const optimizer = `${op.dict}${entry("state", op.dict)}${entry("param_groups", op.list)}`;
    const found = await cases.open(
      file(entry("epoch", op.integer(3)), entry(key, model), entry("optimizer", optimizer)),
    );
    expect([...found.tensors.keys()]).toEqual(["model.w"]);
  });

  it("with several models are refused with their names", async () => {
    await cases.expectRefusal(
      file(entry("student", model), entry("teacher", model)),
      /expected a state dict .* found several: "student", "teacher"\. Save model\.state_dict/,
    );
  });
});

describe("tensors", () => {
  const shapes = (shape: readonly (number | string)[], strides: readonly (number | string)[]) =>
    dictOf(tensor({ shape, strides }));
  it.each([
    [
      "more elements than the record",
      dictOf(tensor({ count: 7 })),
      /a record data\/0 of 28 bytes \(7 of F32\).* found 24/,
    ],
    ["fewer elements than the record", dictOf(tensor({ count: 5 })), /a record data\/0 of 20 bytes .* found 24/],
    ["another type", dictOf(tensor({ type: "HalfStorage" })), /a record data\/0 of 12 bytes \(6 of F16\)/],
    ["a negative number of elements", dictOf(tensor({ count: -1 })), /a storage of a known type/],
    ["no record", dictOf(tensor({ key: "1" })), /a record data\/1 for tensor "t", found none/],
    [
      "an offset",
      dictOf(tensor({ offset: op.integer(1) })),
      /inside the 6 elements of its storage, found elements 1 to 7/,
    ],
    [
      "a negative offset",
      dictOf(tensor({ offset: op.integer(-1) })),
      /the offset of a tensor as an unsigned integer .* found -1/,
    ],
    [
      "an offset of 2^63",
      dictOf(tensor({ offset: op.long(0, 0, 0, 0, 0, 0, 0, 0x80, 0) })),
      /as an unsigned integer .* found 9223372036854775808/,
    ],
    [
      "an offset of 2^53 - 1",
      dictOf(tensor({ offset: op.long(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f) })),
      /inside the 6 elements/,
    ],
    ["an offset that is true", dictOf(tensor({ offset: "\x88" })), /as an unsigned integer .* found true/],
    ["an offset of 0.0", dictOf(tensor({ offset: `G${"\0".repeat(8)}` })), /as an unsigned integer .* found a float/],
    ["a negative stride", shapes([2, 3], [3, -1]), /the strides of a tensor as unsigned integers/],
    ["a negative size", shapes([-2, 3], [3, 1]), /the size of a tensor as unsigned integers/],
    ["too many strides", shapes([2, 3], [3, 1, 1]), /expected 2 strides .* found 3/],
    ["strides out of the storage", shapes([2, 3], [4, 1]), /elements 0 to 7/],
    ["sizes of 2^31 - 1", shapes([0x7fffffff, 0x7fffffff], [0x7fffffff, 1]), /inside the 6 elements/],
    ["a billion elements of stride 0", shapes([1_000_000_000], [0]), /tensors of at most 4 times the size of the file/],
    [
      "2^62 elements of stride 0",
      shapes([0x7fffffff, 0x7fffffff], [0, 0]),
      /tensors of at most 4 times the size of the file/,
    ],
    ["65 dims", shapes(new Array(65).fill(1), new Array(65).fill(1)), /the size of a tensor as unsigned integers/],
  ])("%s", async (_, pickle, message) => {
    await cases.expectRefusal(torchFile(pickle), message);
  });

  it("a tensor of no elements with dims that multiply to infinity does not hide a large one", async () => {
    const many = op.long(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f);
    const empty = tensor({ shape: [...new Array(40).fill(many), 0], strides: new Array(41).fill(0) });
    const large = tensor({ shape: [1_000_000_000], strides: [0] });
    const both = `${op.start}${op.dict}${op.text("a")}${empty}${op.setItem}${op.text("b")}${large}${op.setItem}.`;
    await cases.expectRefusal(
      torchFile(both),
      /tensors of at most 4 times the size of the file, found more, up to "b"/,
    );
  });

  it("many views of two elements each that reach over the whole file are refused: reading would take it that many times", async () => {
    const count = 400_000;
    const far = tensor({ count, shape: [2], strides: [count - 1] });
    const views = (most: number) =>
      Array.from({ length: most }, (_, index) => `${op.text(`t${index}`)}${far}${op.setItem}`).join("");
    const file = (most: number) =>
      torchFile(`${op.start}${op.dict}${views(most)}${op.stop}`, new Uint8Array(4 * count));
    expect((await cases.open(file(100))).tensors.size).toBe(100);
    await cases.expectRefusal(
      file(400),
      /views that reach over at most 256 times the size of the file together, found more/,
    );
  });

  it("a billion dims of length 0 are an empty tensor", async () => {
    expect(await (await cases.open(torchFile(shapes([0, 1_000_000_000], [5, 9])))).readFloat32("t")).toEqual(
      new Float32Array(),
    );
  });
});
