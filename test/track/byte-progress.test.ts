import { describe, expect, it } from "vitest";
import { bytesText, createByteProgress } from "../../src/track/byte-progress.js";

function shown(isTTY: boolean): { text: () => string; tick: (ms: number, doneBytes: number) => void; end: () => void } {
  let [now, text] = [0, ""];
  const stream = { isTTY, write: (part: string) => (text += part) };
  const { show, end } = createByteProgress(stream, () => now);
  const tick = (ms: number, doneBytes: number) => {
    now += ms;
    show({ doneBytes, totalBytes: 4e9, seconds: now / 1000 });
  };
  return { text: () => text, tick, end };
}

describe("progress in bytes", () => {
  it("updates one line on a terminal, with the speed of this start only", () => {
    const { text, tick, end } = shown(true);
    tick(0, 1e9);
    tick(1000, 1.5e9);
    tick(10, 1.6e9);
    tick(1000, 2e9);
    end();
    expect(text().split("\r\u001b[2K")).toEqual([
      "",
      "1.50 GB of 4.00 GB  37 %  500 MB/s  ETA 5 s",
      "2.00 GB of 4.00 GB  50 %  498 MB/s  ETA 4 s",
      "",
    ]);
  });

  it("prints a line now and then elsewhere", () => {
    const { text, tick, end } = shown(false);
    for (let second = 0; second <= 25; second++) tick(1000, second * 1e8);
    end();
    expect(text()).toBe("900 MB of 4.00 GB  22 %  100 MB/s  ETA 31 s\n1.90 GB of 4.00 GB  47 %  100 MB/s  ETA 21 s\n");
  });

  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.00 kB"],
    [12_345_678, "12.3 MB"],
    [3.2e13, "32.0 TB"],
  ])("%d bytes are %s", (bytes, text) => expect(bytesText(bytes)).toBe(text));
});
