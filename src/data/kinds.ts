/** The kinds of examples there are. Adding one is a folder and a line here. */
import { imageKind } from "./image/kind.js";
import type { ExampleKind, KindName } from "./kind.js";
import { textKind } from "./text/kind.js";

export const exampleKinds = { image: imageKind, text: textKind } as const satisfies Readonly<
  Record<KindName, ExampleKind>
>;

export function kindOf(name: KindName): ExampleKind {
  return exampleKinds[name];
}
