/**
 * How a repository on the Hugging Face hub is named: `org/name`, `org/name@revision` (branch, tag or commit), or with the scheme
 * that says so beyond doubt: `hf://org/name@revision` for a model, `hf://datasets/org/name@revision` for a data set. Read strictly,
 * because names become parts of paths and URLs.
 */
export type RepositoryType = "model" | "dataset";

export interface HubReference {
  readonly type: RepositoryType;
  /** `org/name`. */
  readonly id: string;
  /** Branch, tag or commit; `main` if none was given. */
  readonly revision: string;
}

export const HUB_SCHEME = "hf://";
const DEFAULT_REVISION = "main";
/** The hub's own limit. */
const MAX_ID_LENGTH = 96;
/** The longest name that file systems take; revisions are names of files in the cache. */
const MAX_REVISION_LENGTH = 255;
const NAME = /^\w(?:[\w.-]*\w)?$/;
/** Parts of a revision: `refs/convert/parquet`, `v1.0`. */
const REVISION_PART = /^\w[\w.+-]*$/;
const COMMIT = /^[0-9a-f]{40}$/;

/** Reads a reference to a repository of `type`; undefined when the text does not follow the form. */
export function parseReference(text: string, type: RepositoryType): HubReference | undefined {
  const prefix = `${HUB_SCHEME}${type === "dataset" ? "datasets/" : ""}`;
  const bare = text.startsWith(prefix) ? text.slice(prefix.length) : text;
  const at = bare.indexOf("@");
  const id = at < 0 ? bare : bare.slice(0, at);
  const revision = at < 0 ? DEFAULT_REVISION : bare.slice(at + 1);
  const parts = id.split("/");
  if (parts.length !== 2 || id.length > MAX_ID_LENGTH || !parts.every(isName)) return undefined;
  return isRevision(revision) ? { type, id, revision } : undefined;
}

/** The reference with its scheme, which `parseUri` reads back. */
export function formatUri({ type, id, revision }: HubReference): string {
  return `${HUB_SCHEME}${type === "dataset" ? "datasets/" : ""}${id}@${revision}`;
}

/** Reads what `formatUri` wrote; undefined for anything else, paths among it. */
export function parseUri(text: string): HubReference | undefined {
  if (!text.startsWith(HUB_SCHEME)) return undefined;
  return parseReference(text, text.startsWith(`${HUB_SCHEME}datasets/`) ? "dataset" : "model");
}

/** As people write it: without scheme, and without the revision that is meant when there is none. */
export function shownReference({ id, revision }: HubReference): string {
  return revision === DEFAULT_REVISION ? id : `${id}@${revision}`;
}

/** Whether a revision is the sha1 of a commit, which never changes its meaning. */
export function isCommit(revision: string): boolean {
  return COMMIT.test(revision);
}

/** The hub's rules; `--` is what the cache puts in the place of the slash. */
function isName(part: string): boolean {
  return NAME.test(part) && !part.includes("--") && !part.includes("..") && !part.endsWith(".git");
}

function isRevision(revision: string): boolean {
  if (revision.length > MAX_REVISION_LENGTH || revision.includes("..")) return false;
  return revision.split("/").every((part) => REVISION_PART.test(part));
}
