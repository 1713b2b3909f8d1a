/**
 * Which files of a data set are leftovers of systems and tools, and the sentence that accounts for all that is not read: nothing is left out in
 * silence.
 */
import { quote } from "../../runtime/printable.js";

/** Beside hidden names: what macOS, Windows, NAS and archivers leave in folders. */
const LEFTOVERS: ReadonlySet<string> = new Set([
  "__macosx",
  "thumbs.db",
  "ehthumbs.db",
  "desktop.ini",
  "$recycle.bin",
  "system volume information",
  "lost+found",
  "@eadir",
]);
const MOST_KINDS = 8;

/** Hidden (`.DS_Store`, `._x.jpg`, `.ipynb_checkpoints`), or made by a system beside a person's files. */
export function isLeftover(name: string): boolean {
  return name.startsWith(".") || LEFTOVERS.has(name.toLowerCase());
}

/** Whether a path with slashes is, or lies in, a leftover. */
export function isInLeftover(path: string): boolean {
  return path.split("/").some((part) => part !== "." && part !== ".." && isLeftover(part));
}

/** The sentence about texts without a letter, which are kept; none where there are none. `first` is where the first is. */
export function emptyTexts(place: string, count: number, first: string): readonly string[] {
  if (count === 0) return [];
  return [`${place}: ${count} empty ${count === 1 ? "text" : "texts"}, kept (the first ${first})`];
}

interface Kind {
  count: number;
  readonly first: string;
}

/** Counts what is not read, by kind. */
export class PassedOver {
  private readonly kinds = new Map<string, Kind>();
  private leftovers = 0;
  private firstLeftover = "";

  /** A file that is no example by its name, or a leftover. */
  add(name: string): void {
    if (isInLeftover(name)) {
      this.firstLeftover ||= name;
      this.leftovers += 1;
      return;
    }
    const extension = /[^/.]\.([^./]+)$/.exec(name)?.[1]?.toLowerCase();
    this.addKind(extension === undefined ? "without an extension" : `.${extension}`, name);
  }

  /** Anything else, e.g. a folder, under the words for it. */
  addKind(kind: string, name: string): void {
    const known = this.kinds.get(kind);
    if (known === undefined) this.kinds.set(kind, { count: 1, first: name });
    else known.count += 1;
  }

  /** "8 .heic, 1 .txt (notes.txt)"; empty where nothing was counted. */
  get text(): string {
    const kinds = [...this.kinds].toSorted(([, a], [, b]) => b.count - a.count);
    const parts = kinds
      .slice(0, MOST_KINDS)
      .map(([kind, { count, first }]) => `${count} ${shownKind(kind)}${count === 1 ? ` (${shown(first)})` : ""}`);
    const rest = kinds.slice(MOST_KINDS).reduce((sum, [, { count }]) => sum + count, 0);
    return [...parts, ...(rest > 0 ? [`${rest} of other kinds`] : [])].join(", ");
  }

  /** The sentence for all of it, or none. */
  notices(place: string): readonly string[] {
    const counted = this.text;
    const parts = [
      ...(counted === "" ? [] : [`passed over: ${counted}`]),
      ...(this.leftovers === 0
        ? []
        : [
            `left out: ${this.leftovers} hidden or system ${this.leftovers === 1 ? "entry" : "entries"} (${shown(this.firstLeftover)}${this.leftovers > 1 ? ", ..." : ""})`,
          ]),
    ];
    return parts.length === 0 ? [] : [`${place}: ${parts.join("; ")}`];
  }
}

function shown(name: string): string {
  return quote(name).slice(1, -1);
}

/** Extensions are foreign text. */
function shownKind(kind: string): string {
  return kind.startsWith(".") ? shown(kind) : kind;
}
