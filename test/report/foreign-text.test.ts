/** Names that mean something to Markdown, HTML, LaTeX, YAML, spreadsheets and terminals, through everything that writes tables and cards. */
import { parse as parseCsv } from "csv-parse/sync";
import { describe, expect, it } from "vitest";
import { latexComment, latexText } from "../../src/experiment/latex.js";
import { csvText } from "../../src/report/csv.js";
import { escapeHtml } from "../../src/report/html.js";
import { codeBlock, codeSpan, markdownLine, markdownStart } from "../../src/report/markdown.js";
import { cardList } from "../../src/report/page/cards.js";
import { dataTable, settingsCell } from "../../src/report/page/data-table.js";
import { htmlFigure, inlineSvg } from "../../src/report/page/figure-html.js";
import { page } from "../../src/report/page/page.js";
import { figureSvg } from "../../src/report/plot.js";
import { alignedText, markdownText } from "../../src/report/table.js";
import { shownLine } from "../../src/runtime/printable.js";

const NASTY = [
  ...[
    "a|b",
    "a\\",
    "`code`",
    "``",
    "**bold**",
    "_x_",
    "mnist_m",
    "<script>alert(1)</script>",
    "<!--",
    "[a](javascript:x)",
    "![a](b)",
  ],
  ...[
    "[a]: b",
    "[a][b]",
    "&lt;",
    "~~a~~",
    "# a",
    "- a",
    "> a",
    "```\n# out",
    "---\nlicense: mit",
    "a\nb\rc",
    "%",
    "a & b",
    "$x$",
    "{x}",
    "^2",
    "~",
  ],
  ...[
    "--",
    "?`",
    "[x]",
    "*",
    '"quoted"',
    "it's",
    "a,b",
    "=1+1",
    "+1+cmd|'x'!A1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\u001b[31m",
    "\u009b2J",
    "\u202etxt",
  ],
  ...["äöüß", "é", "ก", "🙂", "\u0000", "", " a "],
];
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/;

/** A page with a name wherever names stand. */
function pageOf(name: string): string {
  const columns = [
    { heading: name, group: name, tip: name, cell: () => name },
    { heading: name, group: "values", isNumber: true, cell: () => ({ text: name, value: 1 }) },
    { heading: name, cell: () => settingsCell({ [name]: name }) },
  ];
  const table = dataTable({ label: name, columns, rows: [name] });
  const lead = cardList([{ label: name, value: name, note: name, tip: name }]);
  const figure = htmlFigure({ caption: name }, "<svg></svg>", undefined);
  const head = { title: name, kind: name, state: name, lead };
  return page(head, [{ id: name, title: name, body: table + figure }], name);
}

describe.each(NASTY.map((name) => [name]))("%j", (name) => {
  const cells = [
    ["name", "value"],
    [name, "1.0"],
  ];

  it("is one cell of one line in text and Markdown", () => {
    expect(alignedText(cells).split("\n")).toHaveLength(3);
    expect(alignedText(cells)).not.toMatch(OBEYED);
    const lines = markdownText(cells).split("\n");
    expect(lines).toHaveLength(3);
    expect(lines[2]?.match(/(?<!\\)(?:\\\\)*\|/g)).toHaveLength(3);
    expect(lines.join("")).not.toMatch(OBEYED);
  });

  it("is no markup in a line", () => {
    const line = markdownLine(name);
    expect(line).not.toMatch(/[\n\r]/);
    expect(line).not.toMatch(/(?<!\\)(?:\\\\)*[`<*|]/);
    expect(line).not.toMatch(/(?<!\\)\]\(|(?<!\\)\]\[|(?<!\\)\]:/);
    expect(markdownStart(name)).not.toMatch(/^\s*(?:#|>|-\s)/);
  });

  it("is code and nothing else between backquotes", () => {
    const span = codeSpan(name);
    const ticks = /^`+/.exec(span)?.[0] ?? "";
    expect(span.endsWith(ticks)).toBe(true);
    const inner = span.slice(ticks.length, -ticks.length);
    expect((inner.match(/`+/g) ?? []).map(({ length }) => length)).not.toContain(ticks.length);
    expect(inner.includes(shownLine(name))).toBe(true);
    const block = codeBlock(name, "yaml").split("\n");
    const fence = /^`+/.exec(block[0] ?? "")?.[0] ?? "";
    expect(block.slice(1).findIndex((line) => line.startsWith(fence))).toBe(block.length - 2);
  });

  it("is text in HTML", () => {
    const whole = pageOf(name);
    // The page's own script and style are no text of strangers.
    const html = whole.replace(/<style>[\s\S]*?<\/style>/, "").replace(/<script>[\s\S]*?<\/script>\n<\/body>/, "");
    expect(html).not.toMatch(/<script|<!--/);
    expect(html).not.toMatch(OBEYED);
    expect(whole.match(/<script/g)).toHaveLength(1);
    // No name ends an attribute or a tag: all are those of a page of plain names.
    const tags = (text: string) => text.match(/<\/?[a-z][^>]*>/g)?.map((tag) => tag.replaceAll(/"[^"]*"/g, '""'));
    const own = (text: string) => tags(text)?.filter((tag) => !/^<\/?(?:wbr|code)/.test(tag));
    const plain = pageOf("name")
      .replace(/<style>[\s\S]*?<\/style>/, "")
      .replace(/<script>[\s\S]*?<\/script>\n<\/body>/, "");
    expect(own(html)).toEqual(own(plain));
    expect(escapeHtml(name)).not.toMatch(/[<>"']/);
  });

  it("is itself in CSV, and no formula", () => {
    const [, [found = ""] = []] = parseCsv(csvText(cells)) as string[][];
    expect(found.replace(/^'(?=[=+@\t\r-])/, "")).toBe(name);
    expect(found).not.toMatch(/^[=@\t\r]|^[+-]\d*[+(c]/);
  });

  it("prints as itself in LaTeX", () => {
    const text = latexText(name);
    const plain = text.replace(/\\[&%$#_{}]|\\text[a-z]+\{\}|\{\}/g, " ");
    expect(plain).not.toMatch(/[\\&%$#_{}~^<>|\n\r]|--/);
    expect(text).not.toMatch(/^[[*]/);
    expect(latexComment(name).split(/[\n\r]/)).toHaveLength(1);
  });
});

it("numbers with a sign stay numbers in CSV", () => {
  expect(csvText([["-1.5", "+0.2", "-", "1e-3", "-2e+5", "-Infinity", "+3.1%"]])).toBe(
    "-1.5,+0.2,-,1e-3,-2e+5,-Infinity,+3.1%\n",
  );
});

it("a cell that begins with a number is no formula in CSV, unless it goes on to compute", () => {
  const plain = ["-0.9 (-1.5 to +0.3)", "+12.9 points", "-5% of all", "-.5 or so", "-3 words", "-1e-3 nats"];
  expect(csvText(plain.map((cell) => [cell]))).toBe(`${plain.join("\n")}\n`);
  const formulas = ["-1+cmd|'x'!A1", "+12.5-A1", "-5%*2", "-1 +cmd", "-1e5/A1", "-.5&A1", "-1:1", "-A1", "+cmd", "- 1"];
  expect(csvText(formulas.map((cell) => [cell]))).toBe(`'${formulas.join("\n'")}\n`);
});

it("what is written today stays as it is", () => {
  const name = "task_arithmetic (val, adapt) AdaMerging++ tasks=[1, 2] +/- 95 %";
  expect(markdownLine(name)).toBe(name);
  expect(latexText("95 % a_b")).toBe("95 \\% a\\_b");
});

it("signs that are accents after a backslash have names in LaTeX", () => {
  expect(latexText("a~b^c\\d")).toBe("a\\textasciitilde{}b\\textasciicircum{}c\\textbackslash{}d");
});

it("a figure's SVG has text where a name would be markup or a control", async () => {
  const values = NASTY.map((task, index) => ({ task, value: index }));
  const spec = {
    data: { values },
    mark: "bar",
    encoding: { x: { field: "value", type: "quantitative" }, y: { field: "task", type: "nominal" } },
  };
  const figure = {
    name: "x",
    title: NASTY.join(" "),
    caption: "x",
    spec: spec as Parameters<typeof figureSvg>[0]["spec"],
  };
  const svg = await figureSvg(figure);
  for (const text of [svg, inlineSvg(figure, svg, "wide")]) {
    expect(text).not.toMatch(/<script|<!--/);
    expect(text).not.toMatch(OBEYED);
  }
  expect(inlineSvg(figure, svg, "wide").match(/ data-tip="[^"]+"/g)?.length).toBeGreaterThan(NASTY.length / 2);
});
