/**
 * What the heads of several models are called in the folder of one: as their files are, or as the models are whose
 * classifiers they were. Of heads that are the same one is kept; different ones of one name get their models' in front.
 */
import type { HeadNotes } from "../../model/head-file.js";
import type { Head } from "../../model/heads.js";
import { printable } from "../../runtime/printable.js";
import type { NamedHead } from "../heads/heads-folder.js";

/** Not in names of files: what is a path, hidden, or refused by some file system. */
const UNFIT = /[^\p{L}\p{N}_.@+-]+/gu;
/** Bytes of a file's name are limited to 255, and there is an ending. */
const MOST_LETTERS = 60;

/** A head with where it is from. */
export interface FoundHead {
  /** What the merge file calls the model. */
  readonly model: string;
  /** What the model calls the head: the file's name; undefined for the classifier that it was saved with. */
  readonly task: string | undefined;
  readonly head: Head;
  readonly notes: HeadNotes;
}

/** The heads as they are written, and what a person should know of their names. */
export function nameHeads(found: readonly FoundHead[]): {
  readonly heads: readonly NamedHead[];
  readonly notices: readonly string[];
} {
  const notices: string[] = [];
  const byName = new Map<string, FoundHead[]>();
  for (const one of found) {
    const name = fileName(one.task ?? one.model);
    const others = byName.get(name) ?? [];
    if (!others.some((other) => isSameHead(one, other))) byName.set(name, [...others, one]);
  }
  const named = new Map<string, FoundHead>();
  const put = (name: string, one: FoundHead): void => {
    if (!named.has(name)) named.set(name, one);
    else
      notices.push(
        `a head of model ${printable(one.model)} is not carried over: another one is called ${printable(name)} too; give the models names that differ (\`name:\` in the merge file)`,
      );
  };
  for (const [name, all] of byName) {
    const models = all.map(({ model }) => printable(model)).join(", ");
    if (all.length > 1)
      notices.push(`${models} have different heads called ${printable(name)}: each has its model's name in front`);
    for (const one of all) {
      const full = one.task === undefined ? one.model : `${one.model}-${one.task}`;
      put(all.length === 1 ? name : fileName(full), one);
    }
  }
  const heads = [...named].map(([task, { head, notes }]) => ({ head: { ...head, task }, notes }));
  return { heads, notices };
}

function fileName(name: string): string {
  const fit = name.replaceAll(UNFIT, "-").replace(/^[.-]+/, "");
  return [...fit].slice(0, MOST_LETTERS).join("") || "head";
}

function isSameHead(a: FoundHead, b: FoundHead): boolean {
  const said = ({ head, notes }: FoundHead) =>
    JSON.stringify([
      ...[
        head.classes,
        head.featureSize,
        head.logitScale,
        head.hidden?.size,
        head.hidden?.activation,
        head.adapter?.rank,
      ],
      ...[notes.classes, notes.features, notes.maxLength],
    ]);
  const numbers = ({ head: { weight, bias, hidden, adapter } }: FoundHead) => [
    ...[weight, bias, hidden?.weight, hidden?.bias],
    ...[adapter?.down, adapter?.up],
  ];
  const others = numbers(b);
  return said(a) === said(b) && numbers(a).every((values, index) => isSameArray(values, others[index]));
}

function isSameArray(a: Float32Array | undefined, b: Float32Array | undefined): boolean {
  return a?.length === b?.length && (a?.every((value, index) => value === b?.[index]) ?? true);
}
