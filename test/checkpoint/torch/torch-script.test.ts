/** TorchScript read without running it, against the state dicts that torch.jit.load gives: test/golden/make-torch-script.py made the files. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { openCheckpoint } from "../../../src/checkpoint/checkpoint.js";
import { op, tensor, type ZipPart, zip } from "../../malformed/make-torch-file.js";
import { temporaryCases } from "../../malformed/torch-cases.js";

const SCRIPT = join(import.meta.dirname, "..", "..", "golden", "torch", "script");

it.each(["scripted", "traced", "hostile"])("%s.pt has the tensors of its state dict, and is not run", async (name) => {
  const expected = await openCheckpoint(join(SCRIPT, "expected.safetensors"));
  const found = await openCheckpoint(join(SCRIPT, `${name}.pt`));
  const wanted = [...expected.tensors.keys()].filter((key) => key.startsWith(`${name}/`));
  expect(wanted.length).toBe(name === "hostile" ? 1 : 14);
  expect([...found.tensors.keys()].map((key) => `${name}/${key}`).toSorted()).toEqual(wanted.toSorted());
  for (const key of wanted)
    expect(await found.tensorSha256s([key.slice(name.length + 1)]), key).toEqual(await expected.tensorSha256s([key]));
  expect(existsSync("executed") || existsSync(join(SCRIPT, "executed"))).toBe(false);
});

describe("made by hand", () => {
  const cases = temporaryCases();
  const LINEAR = 'class Linear(Module):\n  __parameters__ = ["weight", ]\n  __buffers__ = []\n  weight : Tensor\n';
  const object = (state: string, name = "Linear") => `${op.global("__torch__", name)})\x81${state}${op.build}`;
  const attributes = (...entries: string[]) => `${op.dict}${op.mark}${entries.join("")}${op.setItems}`;
  const weight = `${op.text("weight")}${tensor()}`;
  const program = (pickle: string, code: string | ZipPart = LINEAR) => {
    const part = typeof code === "string" ? { name: "f/code/__torch__.py", data: code } : code;
    return zip([
      { name: "f/data/0", data: new Uint8Array(24) },
      { name: "f/data.pkl", data: Buffer.from(`${op.start}${pickle}${op.stop}`, "latin1") },
      part,
      { name: "f/constants.pkl", data: "" },
    ]);
  };

  it("a module's tensors are those that its class lists; others, and what is no module, are not", async () => {
    const plain = `${LINEAR}class Other:\n  weight : Tensor\n`;
    const inner = `${op.text("other")}${object(attributes(weight), "Other")}`;
    const found = await cases.open(program(object(attributes(weight, `${op.text("extra")}${tensor()}`, inner)), plain));
    expect([...found.tensors.keys()]).toEqual(["weight"]);
  });

  it.each([
    ["a class without code", object(attributes(weight), "Absent"), LINEAR, /found an empty dictionary/],
    [
      "no code at all",
      object(attributes(weight)),
      { name: "f/code/x.py", data: "" },
      /a record "code\/__torch__.py" with/,
    ],
    [
      "code to restore with, whatever the state",
      object(attributes(weight)),
      `${LINEAR}  def __setstate__(self: __torch__.Linear, state: Dict[str, Tensor]) -> NoneType:\n    return None\n`,
      /which restores itself by code in the file \(__setstate__/,
    ],
    ["a state that is no dictionary", object(tensor()), LINEAR, /which restores itself by code in the file/],
    ["an object without a state", `${op.global("__torch__", "Linear")})\x81`, LINEAR, /which restores itself/],
    [
      "two states",
      `${object(attributes(weight))}${attributes()}${op.build}`,
      LINEAR,
      /attributes of an object once at byte 187, found them twice/,
    ],
    [
      "a parameter that is missing",
      object(attributes()),
      LINEAR,
      /a tensor "weight" in "the program" .* found something else/,
    ],
    [
      "a class twice",
      object(attributes(weight)),
      LINEAR + LINEAR,
      /every class of the program once, found "Linear" twice/,
    ],
    [
      "a listed name with an escape",
      object(attributes(weight)),
      LINEAR.replace("weight", "\\\\x41"),
      /lists of plain names/,
    ],
    [
      "a class of Python",
      `${op.global("os", "system")})\x81`,
      LINEAR,
      /found an object of the class or function "os.system"/,
    ],
    ["a call of a class", `${op.global("__torch__", "Linear")})${op.reduce}`, LINEAR, /a call that makes a tensor/],
    [
      "code that unpacks to gigabytes",
      object(attributes(weight)),
      deflated(new Uint8Array(50_000_000)),
      /"code\/__torch__.py" compressed, of at most 20000000 bytes in all, found others/,
    ],
    [
      "compressed tensors",
      object(attributes(weight)),
      { ...deflated(Buffer.from(LINEAR)), name: "f/data/1" },
      /uncompressed records, .* found "f\/data\/1" compressed/,
    ],
  ])("%s", async (_, pickle, code, message) => {
    await cases.expectRefusal(Uint8Array.from(program(pickle, code)), message);
  });

  it("a module that holds itself is refused", async () => {
    const itself = `${op.global("__torch__", "Linear")})\x81${op.put(1)}${attributes(weight, `${op.text("a")}${op.get(1)}`)}${op.build}`;
    await cases.expectRefusal(Uint8Array.from(program(itself)), /at most 100000 modules, 64 deep, found more/);
  });

  function deflated(content: Uint8Array): ZipPart {
    const data = deflateRawSync(content);
    return { name: "f/code/__torch__.py", data, method: 8, declaredBytes: content.length, packedBytes: data.length };
  }
});
