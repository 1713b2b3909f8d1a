/**
 * Secrets of the environment and of addresses, through a fit that is tracked and through doctor: in no output, in no file. The marks stand for tokens and passwords wherever
 * people put them, where they are right and where they are not.
 */

import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ROOT } from "../support/cli.js";
import { MARK, marksIn, openSecretsBench, SECRETS, type SecretsBench } from "../support/secrets.js";

let bench: SecretsBench;
let address = "";
const leftBy: SecretsBench["leftBy"] = (line, env) => bench.leftBy(line, env);

beforeAll(async () => {
  bench = await openSecretsBench();
  ({ address } = bench);
});
afterAll(() => bench.close());

const FIT = `fit ${join(ROOT, "configs", "quickstart-mini8.yaml")} steps=1 tasks=[mnist] data.adapt_limit=4 data.eval_limit=4 data.batch_size=2 name=x`;

it("a fit with a server that refuses it", async () => {
  const env = { MLFLOW_TRACKING_URI: `http://me:${MARK}@${address}` };
  const left = await leftBy(`${FIT} --overwrite`, env);
  expect(left.includes("the tracking server answered HTTP 400")).toBe(true);
  expect(left.includes('"state": "finished"')).toBe(true);
  expect(marksIn(left)).toEqual([]);
  expect(bench.seen).toContain(`Basic ${Buffer.from(`me:${MARK}`).toString("base64")}`);
});

it("doctor", async () => {
  for (const uri of [`http://me:${MARK}@${address}`, `http://me:${MARK}@/x@${address}`, `me:${MARK}@${address}`]) {
    const left = await leftBy("doctor", { ...SECRETS, MLFLOW_TRACKING_URI: uri });
    expect(left.includes("tracker")).toBe(true);
    expect(marksIn(left)).toEqual([]);
  }
});
