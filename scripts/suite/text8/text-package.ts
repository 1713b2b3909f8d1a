/**
 * One package of text8: where it is from, which file it must be, under which licence its texts are. No list; that is packages.ts.
 */

export type Registry = "npm" | "pypi" | "debian";

export interface TextPackage {
  readonly registry: Registry;
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  /** Of what is taken from it: SPDX identifier, or words. */
  readonly licence: string;
  readonly attribution: string;
  /** Where the package says so, inside it. */
  readonly notice: string;
  /** Name of the task whose texts it gives, two for two; none for the encoder. */
  readonly tasks: readonly string[];
}

export type Row = readonly [
  name: string,
  version: string,
  sha256: string,
  licence: string,
  attribution: string,
  notice?: string,
];

/** Packages of one registry for the same tasks; the notice of a Debian package is its copyright file. */
export function rows(registry: Registry, tasks: readonly string[], list: readonly Row[]): TextPackage[] {
  return list.map(([name, version, sha256, licence, attribution, notice = `usr/share/doc/${name}/copyright`]) => {
    return { registry, name, version, sha256, licence, attribution, notice, tasks };
  });
}
