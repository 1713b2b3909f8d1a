/** JSON files of models as text: read as Python reads them, and changed without touching a byte besides. */
import { describe, expect, it } from "vitest";
import { configTextAt, editConfig, parseConfig } from "../../src/checkpoint/config-text.js";
import { CheckpointError } from "../../src/errors.js";

const edit = (text: string, key: string, value: string | boolean | number | null | readonly string[] | undefined) =>
  editConfig(text, [{ path: key.split("."), value }], "config.json");

describe("reading", () => {
  it.each([
    ["what JSON has", '{"a": [1, -0.5, 1e-05, true, null], "b": {"c": "d\\u00e9\\n"}}'],
    ["values that are no objects", ' [[], {}, "", 0] '],
    ["a key that objects inherit", '{"__proto__": {"x": 1}, "constructor": 2}'],
    ["half of a pair of surrogates", '{"a": "\\ud83d"}'],
    ["the last of equal keys", '{"a": 1, "a": 2}'],
  ])("takes %s as JSON.parse does", (_what, text) => {
    expect(parseConfig(text, "f")).toEqual(JSON.parse(text));
    expect(Object.keys(Object(parseConfig(text, "f")))).toEqual(Object.keys(JSON.parse(text)));
  });

  it("takes what Python writes and JSON has not, and a byte order mark", () => {
    const text = '\ufeff{"a": NaN, "b": [Infinity, -Infinity], "c": "NaN"}';
    expect(parseConfig(text, "f")).toEqual({ a: Number.NaN, b: [Infinity, -Infinity], c: "NaN" });
  });

  it.each([
    ['{"a": 1', /^f: expected JSON with ',' or '}' at line 1, column 8, found the end\. Get the file again\.$/],
    ['{\n  "a": 01}', /^f: expected JSON with ',' or '}' at line 2, column 9, found "1}"/],
    ["{'a': 1}", /^f: expected JSON with a key in double quotes at line 1, column 2/],
    ['{"a": nan}', /^f: expected JSON with a value at line 1, column 7, found "nan}"/],
    ['{"a": 1,}', /^f: expected JSON with a key in double quotes at line 1, column 9/],
    [
      '{"a": "\\x"}',
      /^f: expected JSON with a string without control characters and with JSON's escapes at line 1, column 7/,
    ],
    ['{"a": "b\nc"}', /^f: expected JSON with a string without control characters/],
    ['{"a": "b', /^f: expected JSON with a string closed by '"'/],
    ["{} {}", /^f: expected JSON with nothing behind the value at line 1, column 4/],
    ["", /^f: expected JSON with a value at line 1, column 1, found the end/],
    ["<html>\u001b[31m", /^f: expected JSON with a value at line 1, column 1, found "<html>\\u001b\[31m"/],
    ["[".repeat(100_000), /^f: expected JSON with values at most 100 deep/],
    [`[${"0,".repeat(300_000)}0]`, /^f: expected JSON with at most 300000 values/],
  ])("refuses %#", (text, message) => {
    expect(() => parseConfig(text, "f")).toThrow(CheckpointError);
    expect(() => parseConfig(text, "f")).toThrow(message);
  });
});

/** What makes a file written anew differ: floats without fraction, large and exact numbers, escapes, order, spacing. */
const ODD =
  '\ufeff{\r\n\t"rope_theta" : 1000000.0,\r\n\t"eps":1e-05 , "big": 12345678901234567890, "nan": NaN, "inf": -Infinity,\r\n' +
  '\t"b": "\\u00e9\\/", "a": 1.0, "dtype": "float16", "dtype" : "bfloat16", "sub": {"dtype": "float16", "x": 1.0}\r\n}\r\n\r\n';

describe("a change", () => {
  it("replaces one value and leaves every other byte", () => {
    expect(edit(ODD, "dtype", "float32")).toBe(ODD.replace('"bfloat16"', '"float32"'));
    expect(edit(ODD, "sub.dtype", "float32")).toBe(ODD.replace('{"dtype": "float16"', '{"dtype": "float32"'));
    expect(edit(ODD, "a", null)).toBe(ODD.replace('"a": 1.0', '"a": null'));
    expect(edit(ODD, "sub", ["x", "y"])).toBe(ODD.replace('{"dtype": "float16", "x": 1.0}', '["x","y"]'));
  });

  it("leaves a value that it is already, however it is written", () => {
    expect(edit(ODD, "dtype", "bfloat16")).toBe(ODD);
    const escaped = '{"\\u0064type": "float\\u00332", "tie": true}';
    expect(edit(escaped, "dtype", "float32")).toBe(escaped);
    expect(edit(escaped, "dtype", "float16")).toBe('{"\\u0064type": "float16", "tie": true}');
  });

  it("adds a key last, spaced as the others", () => {
    expect(edit('{\n  "a": 1.0,\n  "b": 2\n}\n', "c", false)).toBe('{\n  "a": 1.0,\n  "b": 2,\n  "c": false\n}\n');
    expect(edit('{"a":1,"b":2}', "c", "d")).toBe('{"a":1,"b":2,"c":"d"}');
    expect(edit('{"a": 1, "b": {}}', "b.c", "d")).toBe('{"a": 1, "b": {"c": "d"}}');
    expect(edit("{\n}", "c", "d")).toBe('{"c": "d"\n}');
  });

  it("removes every key of a name", () => {
    expect(edit('{"a": 1,\n "b": 2,\n "c": 3}', "a", undefined)).toBe('{\n "b": 2,\n "c": 3}');
    expect(edit('{"a": 1,\n "b": 2,\n "c": 3\n}', "c", undefined)).toBe('{"a": 1,\n "b": 2\n}');
    expect(edit('{"b": 1, "a": 2, "b": 3, "b": 4}', "b", undefined)).toBe('{ "a": 2}');
    expect(edit('{"b": 1}', "b", undefined)).toBe("{}");
    expect(edit(ODD, "none", undefined)).toBe(ODD);
    expect(edit(ODD, "none.none", undefined)).toBe(ODD);
    expect(parseConfig(edit(ODD, "dtype", undefined), "f")).not.toHaveProperty("dtype");
  });

  it("says where there is no object to set a key in", () => {
    expect(() => edit("[1]", "a", 1)).toThrow('config.json: expected an object to set "a" in, found none.');
    expect(() => edit('{"a": 1}', "a.b", 1)).toThrow('config.json: expected an object "a" to set "b" in, found none.');
  });
});

it("the text of a value is the file's", () => {
  expect(configTextAt(ODD, ["sub"], "f")).toBe('{"dtype": "float16", "x": 1.0}');
  expect(configTextAt(ODD, ["eps"], "f")).toBe("1e-05");
  expect(configTextAt(ODD, ["eps", "x"], "f")).toBeUndefined();
});
