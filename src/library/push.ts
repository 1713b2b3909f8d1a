/** `push` for programs: what `adamerge push` does, a saved model to a repository on the Hugging Face hub. */
import path from "node:path";
import { isCommit, parseReference } from "../checkpoint/hub/reference.js";
import { readToken } from "../checkpoint/hub/settings.js";
import { type PushRequest, planPush, push as send } from "../checkpoint/hub/upload/push.js";
import { ConfigError, HubError } from "../errors.js";
import { isStaleName, modelToPush } from "../run/push/model-folder.js";
import { packageVersion } from "../run/records/records.js";
import { resolveWork, surroundingsOf, type WorkOptions } from "./work-options.js";

/** Where a model goes, and how it is told there. */
export interface PushOptions extends Pick<WorkOptions, "cwd" | "env" | "signal" | "log" | "onEvent" | "hub"> {
  /** A new repository is private; one that is there must be. Default: as its owner's settings say, mostly public. */
  readonly isPrivate?: boolean | undefined;
  /** The branch, made if it is not there; default: main. */
  readonly revision?: string | undefined;
  /** Of the commit. */
  readonly message?: string | undefined;
  /** An access token with write access; default: that of downloads (HF_TOKEN, or the file of `hf auth login`). */
  readonly token?: string | undefined;
  /** Say what would be sent, and send nothing; default: false. */
  readonly dryRun?: boolean | undefined;
}

/** A file of the repository, by its path there. */
export interface PushedFile {
  readonly name: string;
  readonly bytes: number;
}

/** What was sent, what was there already, and what was removed. */
export interface PushResult {
  /** `org/name`. */
  readonly repository: string;
  readonly branch: string;
  /** Where people see it. */
  readonly url: string;
  /** The branch is at it now; undefined after a dry run. */
  readonly commit: string | undefined;
  /** It was not there before, as far as the token may see. */
  readonly isNew: boolean;
  readonly sent: readonly PushedFile[];
  readonly unchanged: readonly PushedFile[];
  /** Weights and heads of an earlier model, which would be read with this one. */
  readonly removed: readonly string[];
}

const SCHEMES = /^\S+:\/\//;
const TOKEN = /^hf_[\x21-\x7e]+$/;

/**
 * Sends the model in `folder` (its own, or that of its run) to the repository `name` (`org/name`), which is made if it is
 * not there. Files that are there already are not sent again. Throws HubError for what the hub refuses, ConfigError for
 * a name, token or card that cannot be, and CheckpointError for a folder that is no model.
 */
export async function push(folder: string, name: string, options: PushOptions = {}): Promise<PushResult> {
  const { cwd, hub, log, onEvent } = resolveWork(options);
  const { message = `Upload a model merged by adamerge ${packageVersion()}`, dryRun = false } = options;
  const { id, branch } = placeOf(name, options.revision);
  const token = requireToken(options.token ?? (await readToken(hub)), options.token !== undefined);
  if (hub.offline)
    throw new HubError(
      `${id}: expected a hub to push to, found that only the cache is used (--offline, HF_HUB_OFFLINE)`,
    );
  if (token === undefined && !dryRun)
    throw new HubError(
      `${id}: expected an access token with write access, found none; set HF_TOKEN, log in with \`hf auth login\`, or give one (${hub.endpoint}/settings/tokens)`,
    );
  const model = await modelToPush(path.resolve(cwd, folder), surroundingsOf(options));
  for (const notice of model.notices) log(`notice: ${notice}`);
  const request: PushRequest = {
    ...{ id, branch, token, files: model.files, isStale: isStaleName },
    isPrivate: options.isPrivate ?? false,
    isDryRun: dryRun,
  };
  const plan = await planPush(hub, request);
  const onProgress = (progress: { doneBytes: number; totalBytes: number; seconds: number }) =>
    onEvent({ type: "upload", ...progress });
  const pushed = dryRun ? undefined : await send(hub, request, plan, { message, onProgress });
  const shown = (file: { name: string; sizeBytes: number }) => ({ name: file.name, bytes: file.sizeBytes });
  return {
    ...{ repository: id, branch, url: pushed?.url ?? `${hub.endpoint}/${id}`, commit: pushed?.commit },
    ...{ isNew: !plan.exists, sent: plan.sent.map(shown), unchanged: plan.unchanged.map(shown), removed: plan.removed },
  };
}

/** `org/name`, and the branch behind an @ or by itself. */
function placeOf(name: string, revision: string | undefined): { readonly id: string; readonly branch: string } {
  const reference = SCHEMES.test(name) ? undefined : parseReference(name, "model");
  if (reference === undefined)
    throw new ConfigError(
      `${name}: expected org/name on the hub, of letters, digits and . _ - (at most 96 together), found another text`,
    );
  if (revision !== undefined && name.includes("@"))
    throw new ConfigError(`${name}: expected the branch once, found it behind the @ and as ${revision}`);
  const branch = revision ?? reference.revision;
  if (parseReference(`${reference.id}@${branch}`, "model") === undefined || isCommit(branch))
    throw new ConfigError(`${name}: expected the name of a branch, found ${branch}`);
  return { id: reference.id, branch };
}

/** Neither message shows it. */
function requireToken(token: string | undefined, isGiven: boolean): string | undefined {
  if (token === undefined || TOKEN.test(token)) return token;
  throw new ConfigError(
    `${isGiven ? "token" : "HF_TOKEN, or the file of the token"}: expected an access token of the hub (hf_...), found another text`,
  );
}
