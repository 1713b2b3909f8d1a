/**
 * Which column of a table holds the images and which the labels. A column of the usual name is taken; one that is hardly called otherwise
 * ("Label", "image_file") is taken too where it is the only one, and said; where several could be meant none is, and all are named.
 */
import { nearest } from "../../config/nearest.js";
import { printable } from "../../runtime/printable.js";

/** What else than the usual names columns of images are called, without case, blanks and punctuation. */
const IMAGE_NAMES =
  "path image images img file files filename filepath imagepath imagefile imagename imgpath imgfile imgname picture photo".split(
    " ",
  );
const LABEL_NAMES =
  "label labels class classes classname classlabel labelname category categories target targets".split(" ");
/** Columns before the rest is only counted. */
const MOST_SHOWN = 20;

export type ColumnRole = "image" | "label";
const NAMES: Readonly<Record<ColumnRole, readonly string[]>> = { image: IMAGE_NAMES, label: LABEL_NAMES };

export interface ColumnChoice {
  /** Undefined: none, or it is not clear which. */
  readonly column: string | undefined;
  /** What was assumed, for a person. */
  readonly notice?: string;
  /** Where there is no column: what there is instead. */
  readonly found: string;
}

/** Among the columns that are not called as usual. `option` is the key that names a column in suite.yaml; `taken` has another role. */
export function nearColumn(columns: readonly string[], role: ColumnRole, option: string, taken?: string): ColumnChoice {
  const near = columns.filter((name) => name !== taken && NAMES[role].includes(simplified(name)));
  const found = shownColumns(columns);
  const [only] = near;
  if (only !== undefined && near.length === 1)
    return { column: only, notice: `the ${role}s are those of column ${shown(only)}; ${option} names another`, found };
  if (near.length > 1)
    return {
      column: undefined,
      found: `${found}, of which ${near.map(shown).join(" and ")} could be meant: say which with ${option}`,
    };
  const close = nearest(role, columns);
  return {
    column: undefined,
    found: close === undefined ? found : `${found}; is it ${shown(close)}? Say so with ${option}`,
  };
}

export function shownColumns(columns: readonly string[]): string {
  const rest = columns.length - MOST_SHOWN;
  return `${columns.slice(0, MOST_SHOWN).map(shown).join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
}

/** Whether two names differ only in case, blanks and punctuation. */
export function isSameName(a: string, b: string): boolean {
  return simplified(a) === simplified(b);
}

function simplified(name: string): string {
  return name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
}

/** With quotes where blanks would be overlooked. */
function shown(name: string): string {
  return name === name.trim() ? printable(name) : `"${printable(name)}"`;
}
