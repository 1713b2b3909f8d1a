/** A folder for one test file, removed afterwards; and small images to put into it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { afterAll } from "vitest";

/** Makes an empty folder that is removed when the test file ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "adamerge-data-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a file and its missing parents; returns its path. */
export function writeAt(folder: string, name: string, data: string | Uint8Array): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, data);
  return path;
}

/** A PNG of one colour. */
export function plainPng(value: number, side = 4): Promise<Buffer> {
  const raw = { width: side, height: side, channels: 3 } as const;
  return sharp(new Uint8Array(side * side * 3).fill(value), { raw })
    .png()
    .toBuffer();
}
