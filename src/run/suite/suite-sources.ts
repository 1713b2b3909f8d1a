/**
 * Brings what a suite names on the Hugging Face hub onto this machine: which repositories and which of their files a run needs, the
 * plan of a download (for `adamerge pull`, which shows it first), and the suite with directories in the place of references. A suite of
 * paths alone passes through and needs no hub.
 */
import { cachedCommit } from "../../checkpoint/hub/cache.js";
import { fetchPlanned, requireHub } from "../../checkpoint/hub/fetch-planned.js";
import { type ModelParts, modelFiles } from "../../checkpoint/hub/model-files.js";
import { formatUri, parseUri, shownReference } from "../../checkpoint/hub/reference.js";
import { fetchCommit } from "../../checkpoint/hub/repository.js";
import type { Hub } from "../../checkpoint/hub/request.js";
import { planSnapshot, type SnapshotPlan, type SnapshotRequest } from "../../checkpoint/hub/snapshot.js";
import type { OpenDatasetOptions } from "../../data/dataset.js";
import { zeroShotOf } from "../../data/head-recipes.js";
import { datasetFiles } from "../../data/readers/dataset-files.js";
import { headSplit, ownSplit, type Suite, type SuiteTask } from "../../data/suite.js";
import { HubError } from "../../errors.js";

/** Part of a suite. */
export interface SuitePart {
  readonly tasks: readonly SuiteTask[];
  /** Names that runs use. */
  readonly splits: readonly string[];
}

/**
 * What has to come from the hub for a part of a suite: the base, the multi-task model, the text model of zero-shot heads, the experts of the
 * part's tasks, and their data sets' files of the part's splits. Plans of the hub in no particular order; none for a suite of paths. Throws HubError, also for a
 * repository that lacks something needed. `update` asks where branches are now.
 */
export async function planSuite(
  hub: Hub,
  suite: Suite,
  part: SuitePart,
  { update }: { readonly update: boolean },
): Promise<readonly SnapshotPlan[]> {
  const plans: SnapshotPlan[] = [];
  for (const request of suiteRequests(suite, part)) plans.push(await planSnapshot(hub, request, { update }));
  return plans;
}

/** A repository that a suite needs. */
export interface PlannedRepository {
  readonly type: "model" | "dataset";
  /** `org/name`, or `org/name@revision`. */
  readonly repository: string;
  /** Undefined: it is not in the cache, and the hub was not asked. */
  readonly commit: string | undefined;
  /** Where it is or will be in the hub's cache. */
  readonly directory: string | undefined;
  readonly files: number;
  readonly allBytes: number;
  /** Those that were not in the cache. */
  readonly missingBytes: number;
}

/** What there is to download of one repository, as `pull` says it. */
export function plannedRepository(plan: SnapshotPlan): PlannedRepository {
  return {
    type: plan.reference.type,
    repository: shownReference(plan.reference),
    commit: plan.commit,
    directory: plan.directory,
    files: plan.files.length,
    ...planBytes(plan),
  };
}

/** Bytes that a plan's snapshot has in all, and those still to come. */
function planBytes({ files }: SnapshotPlan): { readonly allBytes: number; readonly missingBytes: number } {
  const allBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return { allBytes, missingBytes: allBytes - files.reduce((sum, { haveBytes }) => sum + haveBytes, 0) };
}

/**
 * The suite with directories in the place of models' references, after downloading what its part lacks, data sets too (`datasetDirectory` says
 * where those are). Experts of other tasks stay references. Throws HubError, offline with everything that the cache lacks.
 */
export async function bringSuite(suite: Suite, part: SuitePart, hub: Hub | undefined): Promise<Suite> {
  const requests = suiteRequests(suite, part);
  if (requests.length === 0) return suite;
  const connected = requireHub(hub, requests);
  const plans = await planSuite(connected, suite, part, { update: false });
  await fetchPlanned(connected, plans);
  const directories = new Map(plans.map(({ reference, directory }) => [formatUri(reference), directory]));
  const local = (path: string) => directories.get(path) ?? path;
  return {
    ...suite,
    base: local(suite.base),
    multitask: suite.multitask === undefined ? undefined : local(suite.multitask),
    textModel: suite.textModel === undefined ? undefined : local(suite.textModel),
    tasks: suite.tasks.map((task) => ({ ...task, expert: local(task.expert) })),
  };
}

/** The directory of a task's data set with the files of one split (a name that runs use), downloaded if need be. Throws HubError. */
export async function datasetDirectory(task: SuiteTask, split: string, hub: Hub | undefined): Promise<string> {
  const requests = datasetRequests(task, [split]);
  const [request] = requests;
  if (request === undefined) return task.dataset;
  const connected = requireHub(hub, requests);
  const plan = await planSnapshot(connected, request, { update: false });
  await fetchPlanned(connected, [plan]);
  return plan.directory ?? task.dataset;
}

/** Where and how a task's split is read; downloaded if need be. Throws HubError. */
export async function taskDataset(
  task: SuiteTask,
  split: string,
  hub: Hub | undefined,
): Promise<Omit<OpenDatasetOptions, "kind">> {
  const { name, part } = ownSplit(task, split);
  return {
    path: await datasetDirectory(task, split, hub),
    split: name,
    part,
    size: task.examples?.get(name),
    labels: task.reading?.labels,
    exifOrientation: task.reading?.exifOrientation,
    where: `task ${task.name}`,
    parameters: task.reading?.parameters,
  };
}

/** The commit that a reference of a suite stands for here; undefined for a path. Throws HubError. */
export async function commitOf(path: string, hub: Hub | undefined): Promise<string | undefined> {
  const reference = parseUri(path);
  if (reference === undefined) return undefined;
  const connected = requireHub(hub, [{ reference }]);
  const known = await cachedCommit(connected.cacheDir, reference);
  if (known !== undefined) return known;
  if (connected.offline)
    throw new HubError(`${shownReference(reference)}: offline, and ${connected.cacheDir} does not know this revision`);
  return fetchCommit(connected, reference);
}

/** References of a suite's part with the files that are needed; data sets of several tasks in one request. */
function suiteRequests(suite: Suite, { tasks, splits }: SuitePart): readonly SnapshotRequest[] {
  const requests = new Map<string, SnapshotRequest>();
  const want = (request: SnapshotRequest) => {
    const key = formatUri(request.reference);
    const known = requests.get(key);
    requests.set(key, known === undefined ? request : bothOf(known, request));
  };
  const model = (path: string | undefined, parts: Partial<ModelParts> = {}) => {
    const reference = path === undefined ? undefined : parseUri(path);
    if (reference !== undefined)
      want({ reference, choose: modelFiles({ preprocessor: false, tokenizer: false, companions: false, ...parts }) });
  };
  model(suite.base, { preprocessor: true, companions: true, card: true });
  model(suite.multitask);
  if (tasks.some(({ head }) => zeroShotOf(head) !== undefined))
    model(suite.textModel ?? suite.base, { tokenizer: true });
  for (const task of tasks) {
    model(task.expert, { card: true });
    const ofHead = headSplit(task);
    for (const request of datasetRequests(task, ofHead === undefined ? splits : [...splits, ofHead])) want(request);
  }
  return [...requests.values()];
}

function datasetRequests(task: SuiteTask, splits: readonly string[]): readonly SnapshotRequest[] {
  const reference = parseUri(task.dataset);
  if (reference === undefined) return [];
  const own = splits.map((split) => ownSplit(task, split).name);
  return [{ reference, choose: datasetFiles({ config: task.reading?.parameters.config, splits: own }) }];
}

/** Two tasks can share a repository, with other configs or splits. */
function bothOf(one: SnapshotRequest, other: SnapshotRequest): SnapshotRequest {
  return {
    reference: one.reference,
    choose: async (names, read) => {
      const [a, b] = [await one.choose(names, read), await other.choose(names, read)];
      return {
        files: [...new Set([...a.files, ...b.files])],
        welcome: [...new Set([...(a.welcome ?? []), ...(b.welcome ?? [])])],
        absent: [...new Set([...a.absent, ...b.absent])],
        certain: a.certain && b.certain,
      };
    },
  };
}
