/** Foreign text made safe for a terminal, and credentials hidden. */
import { describe, expect, it } from "vitest";
import { TrackerError, UserError } from "../../src/errors.js";
import {
  secretsIn,
  shownAddress,
  splitAddress,
  withoutCredentials,
  withoutSecrets,
} from "../../src/runtime/credentials.js";
import { printable, quote, shownLine, shownText } from "../../src/runtime/printable.js";

it.each([
  ["an escape", "\u001b[2J", "\\u001b[2J"],
  ["a C1 control", "\u009b2J\u0085", "\\u009b2J\\u0085"],
  ["a bell, a backspace, a return", "\u0007\b\r", "\\u0007\\u0008\\u000d"],
  ["a text turned round", "\u202etxt.exe\u2066", "\\u202etxt.exe\\u2066"],
  ["nothing to be seen", "\u200b\u00ad\u061c\ufeff\ufff9", "\\u200b\\u00ad\\u061c\\ufeff\\ufff9"],
  ["a tag", "a\u{e0041}b", "a\\udb40\\udc41b"],
  ["letters, signs, emoji", 'äé ก 漢 🙂 "a\\b"', 'äé ก 漢 🙂 "a\\b"'],
])("%s", (_, text, shown) => {
  expect(shownText(text)).toBe(shown);
  expect(shownLine(text)).toBe(shown);
  expect(shownText(shownText(text))).toBe(shown);
  expect(JSON.parse(`"${printable(text)}"`)).toBe(text);
});

it("lines stay lines, except in a line", () => {
  expect(shownText("a\n\tb")).toBe("a\n\tb");
  expect(shownLine("a\n\tb")).toBe("a\\u000a\\u0009b");
  expect(quote("a\nb")).toBe('"a\\nb"');
});

it("every error of a person's has a harmless message", () => {
  const error = new TrackerError("http://me:pw@host/x: said \u001b[31mred\u009b0m\nand more");
  expect(error.message).toBe("http://***@host/x: said \\u001b[31mred\\u009b0m\nand more");
  expect(error.stack).not.toContain("pw@");
  expect(new UserError("a", { cause: error }).cause).toBe(error);
});

describe("credentials", () => {
  it.each([
    ["https://user:password@host/p", "https://***@host/p"],
    ["https://user:p@ss@host/p and http://token@b", "https://***@host/p and http://***@b"],
    ["/cwd/https:/me:pw@host/p", "/cwd/https:/***@host/p"],
    ["hf://org/name@main", "hf://org/name@main"],
    ["https://host/org/name@rev?x=1", "https://host/org/name@rev?x=1"],
    [
      "https://s3/a?X-Amz-Signature=abc&n=1&X-Amz-Credential=d",
      "https://s3/a?X-Amz-Signature=***&n=1&X-Amz-Credential=***",
    ],
    ["https://h/?access_token=abc#x", "https://h/?access_token=***#x"],
    [
      'Headers.append: "Bearer abcdefgh\nij" is an invalid header value',
      'Headers.append: "Bearer ***\nij" is an invalid header value',
    ],
    ["found hf_abcdefghijklmnopqrstuv", "found hf_***"],
  ])("%s", (text, shown) => expect(withoutCredentials(text)).toBe(shown));

  it.each([
    ["http://user:pa/ss@host:5000/p", "http://***@host:5000/p"],
    ["user:pass@host", "***@host"],
    ["host?token=x#y", "host?***"],
    ["not an address", "not an address"],
  ])("%s as an address", (text, shown) => expect(shownAddress(text)).toBe(shown));

  it("user and password are taken out of an address that is otherwise as it was", () => {
    expect(splitAddress("http://me:p%40ss%25@host:5000")).toEqual({
      url: "http://host:5000",
      username: "me",
      password: "p@ss%",
    });
    expect(splitAddress("https://me@host/a/")).toEqual({ url: "https://host/a/", username: "me", password: "" });
    for (const text of ["http://host:5000", "http://host/", "mlruns", "databricks"])
      expect(splitAddress(text)).toEqual({ url: text });
  });

  it("secrets are known by their names and as passwords in addresses; short ones are words", () => {
    const env = {
      HF_TOKEN: "hf-token-value",
      HTTPS_PROXY: "http://me:proxy-password@p:1",
      PATH: "/usr/bin",
      A_TOKEN: "short",
    };
    expect(secretsIn(env)).toEqual(["hf-token-value", "proxy-password"].toSorted((a, b) => b.length - a.length));
    expect(withoutSecrets("a hf-token-value of me:proxy-password", secretsIn(env))).toBe("a *** of me:***");
  });
});
