/**
 * What did not come with the package: which families, methods, objectives and readers a program or a module of a person's has added, and from which
 * file. The registries hold them; this is what is known of all of them, for records of runs and for other processes, which have only what is in
 * modules. For the whole process, as modules are: what is added stays.
 */

export type ExtensionKind = "family" | "method" | "objective" | "reader";

/** The file of a module that adds to registries while it loads. */
export interface ExtensionModule {
  /** Absolute, links resolved. */
  readonly path: string;
  /** Of that file, not of what it imports. */
  readonly sha256: string;
}

export interface Extension {
  readonly kind: ExtensionKind;
  readonly name: string;
  /** Undefined where a program added it. */
  readonly module: ExtensionModule | undefined;
}

const known: Extension[] = [];
let loading: ExtensionModule | undefined;

/** Notes what was added; of the module that is being loaded, if one is. */
export function noteExtension(kind: ExtensionKind, name: string): Extension {
  const extension = { kind, name, module: loading };
  known.push(extension);
  return extension;
}

export function extensions(): readonly Extension[] {
  return known;
}

export function extensionOf(kind: ExtensionKind, name: string): Extension | undefined {
  return known.find((extension) => extension.kind === kind && extension.name === name);
}

/** Loads a module: what is added meanwhile is its own. One at a time. */
export async function loadingModule<T>(module: ExtensionModule, load: () => Promise<T>): Promise<T> {
  loading = module;
  try {
    return await load();
  } finally {
    loading = undefined;
  }
}
