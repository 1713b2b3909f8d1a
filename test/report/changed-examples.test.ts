/** What a report shows of the examples that were gained and lost: their counts, their content, and nothing that a text could do to the page. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { kindOf } from "../../src/data/kinds.js";
import { UserError } from "../../src/errors.js";
import { type ChangedExamples, examplesKind, examplesSection } from "../../src/report/changed-examples.js";
import { readJsonFileIfThere } from "../../src/runtime/json-file.js";
import { temporaryFolder } from "../support/cli.js";

const shown = { row: 3, label: "noun", before: "verb", after: "noun" };
const CHANGED: ChangedExamples = {
  split: "test",
  before: "weight_averaging",
  after: "adamerging_layer_wise",
  tasks: [
    {
      task: "glosses",
      ...{ examples: 20, gained: 5, lost: 1 },
      gainedExamples: [{ ...shown, text: "<script>alert(1)</script>\nsecond" }],
      lostExamples: [{ ...shown, before: "noun", after: "<b>verb</b>", text: "a thing" }],
    },
    { task: "verses", examples: 20, gained: 0, lost: 0, gainedExamples: [], lostExamples: [] },
  ],
};

describe("the section of a report", () => {
  it("has what was gained and lost, with the class and what the other model said", () => {
    const [section] = examplesSection(CHANGED, "texts");
    const body = section?.body ?? "";
    expect(body).toContain("glosses: 5 gained, 1 lost of 20");
    expect(body).toContain("&lt;script&gt;alert(1)&lt;/script&gt;<br>second");
    expect(body).toMatch(/class="gained".*noun <span class="wrong">verb</);
    expect(body).toMatch(/class="lost".*noun <span class="wrong">&lt;b&gt;verb&lt;\/b&gt;</);
    expect(body).toContain("verses: 0 gained, 0 lost of 20");
    expect(body).not.toMatch(/<script|<b>verb/);
  });

  it("is not there for a run that compared nothing, and says what was corrupted", () => {
    expect(examplesSection(undefined, "texts")).toEqual([]);
    const [section] = examplesSection({ ...CHANGED, corruption: "typos" }, "texts");
    expect(section?.body).toContain("corrupted (typos) and are shown as they were before");
  });

  it("shows fewer of each task where all would be more than a page can bear", () => {
    const png = Buffer.alloc(30_000, 1).toString("base64");
    const many = Array.from({ length: 50 }, (_, row) => ({ ...shown, row, png }));
    const counts = { examples: 100, gained: 50, lost: 50, gainedExamples: many, lostExamples: many.slice(0, 1) };
    const tasks = ["a", "b"].map((task) => ({ task, ...counts }));
    const [section] = examplesSection({ ...CHANGED, tasks }, "images");
    const body = section?.body ?? "";
    expect(body.length).toBeLessThan(1.3e6);
    expect(body.match(/class="gained"/g)).toHaveLength(2 * 14);
    expect(body.match(/class="lost"/g)).toHaveLength(2);
    // Still spread from the first to the last.
    expect(body).toContain('alt="example 46"');
  });

  it("takes no file that is something else, above all no picture that is no base64", async () => {
    const folder = await temporaryFolder();
    await mkdir(folder, { recursive: true });
    const path = join(folder, "examples.json");
    const [task] = CHANGED.tasks;
    const hostile = { ...CHANGED, tasks: [{ ...task, gainedExamples: [{ ...shown, png: '"><script>' }] }] };
    await writeFile(path, JSON.stringify(hostile));
    await expect(readJsonFileIfThere(path, examplesKind)).rejects.toThrow(UserError);
    await writeFile(path, JSON.stringify(CHANGED));
    expect(await readJsonFileIfThere(path, examplesKind)).toEqual(CHANGED);
  });
});

describe("a preview", () => {
  it("of a long text is cut between letters", async () => {
    const preview = await kindOf("text").preview(Buffer.from("🦜".repeat(500)), "here");
    expect(preview).toEqual({ kind: "text", text: `${"🦜".repeat(400)}…` });
  });

  it("of a large image is small, and of a small one is itself", async () => {
    const sharp = (await import("sharp")).default;
    const sizes = [];
    for (const [width, height] of [
      [600, 300],
      [8, 4],
    ] as const) {
      const create = { width, height, channels: 3, background: "red" } as const;
      const preview = await kindOf("image").preview(await sharp({ create }).png().toBuffer(), "here");
      if (preview.kind !== "picture") throw new Error("no picture");
      const { width: w, height: h } = await sharp(preview.png).metadata();
      sizes.push([w, h]);
    }
    expect(sizes).toEqual([
      [96, 48],
      [8, 4],
    ]);
  });
});
