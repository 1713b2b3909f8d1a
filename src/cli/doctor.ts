/** `adamerge doctor`: what works on this machine, and what to do about what does not. */
import pc from "picocolors";
import type { DoctorCheck } from "../index.js";
import { EXIT_FAILURE, EXIT_OK } from "./exit-codes.js";
import { lightOptions, printJson, wantsColor } from "./io.js";
import { defineVerb, jsonOption } from "./verb.js";

export const doctorVerb = defineVerb({
  name: "doctor",
  group: "machine",
  usage: "",
  describe: "Check engines, devices and memory on this machine",
  positionals: {},
  options: { json: jsonOption },
  examples: [
    ["doctor", "What works here, and advice on what does not"],
    ["doctor --json", "The same for a bug report"],
  ],
  async run({ json }, io) {
    const report = await io.library.doctor(lightOptions(io));
    if (json) printJson(io, report);
    else {
      const colors = pc.createColors(wantsColor(io.env) && io.stdout.isTTY === true);
      const width = Math.max(0, ...report.map(({ name }) => name.length));
      for (const check of report) io.stdout.write(checkLines(check, width, colors));
    }
    return report.every(({ ok }) => ok) ? EXIT_OK : EXIT_FAILURE;
  },
});

function checkLines(
  { name, ok, detail, advice }: DoctorCheck,
  width: number,
  colors: ReturnType<typeof pc.createColors>,
): string {
  const mark = ok ? colors.green("ok  ") : colors.red("fail");
  const indent = " ".repeat(width + 6);
  return `${mark}  ${name.padEnd(width)}  ${detail}\n${advice === undefined ? "" : `${indent}  -> ${advice}\n`}`;
}
