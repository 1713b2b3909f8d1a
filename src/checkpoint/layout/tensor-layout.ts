/**
 * What a family of models calls its tensors, as data: the names that count here (canonical), and every other way in which files spell, wrap,
 * fuse, tie or derive the same tensors. Families differ in these declarations only; plain-names.ts, tower-names.ts, other-naming.ts,
 * align-names.ts and ties.ts read them. What all families have in common is in common-names.ts.
 */

/** Another spelling of the end of a name. */
export interface Spelling {
  readonly from: RegExp;
  /** As of `String.replace`. */
  readonly to: string;
}

/** A tensor that the model computes from its config: files of some versions have it, and it says nothing about training. */
export interface DerivedTensor {
  readonly name: RegExp;
  /** Where a parameter may have the same name: whether the shape is the derived tensor's. */
  readonly shape?: (shape: readonly number[]) => boolean;
}

/** Tensors of which a file may have only one, because the model uses it for both. */
export interface TiedTensor {
  readonly name: RegExp;
  /** What the others of its kind end in, the likeliest first. */
  readonly sources: readonly string[];
  /** Heads and tables of words are one by config.json's tie_word_embeddings, others by what the model is. */
  readonly kind: "head" | "words" | "other";
}

/** Where the tensors of a tower are in a file that may have more, and what is around them there. */
export interface TowerNames {
  /** What canonical names begin with; files of a tower alone may leave it out. */
  readonly prefix: string;
  /** What follows the prefix. */
  readonly parts: readonly string[];
  /** After the prefix: a tensor that only this kind of tower has, which tells where the tower is. */
  readonly sign: string;
  /** Tensors of the tower that are beside the prefix. */
  readonly beside: readonly string[];
  /** The rest of a whole model, which is left out. */
  readonly rest: RegExp;
  /** The key of config.json under which a whole model has the tower's settings. */
  readonly section?: string;
}

/** A tensor of another naming: under which canonical names its values are. */
export interface OtherName {
  readonly from: RegExp;
  /** As of `String.replace`; several are rows of the tensor, in equal parts. */
  readonly to: readonly string[];
  /** The axes are the other way round. */
  readonly isTransposed?: boolean;
}

/** The names that other code than transformers gives to the same model. */
export interface OtherNaming {
  /** Names (after one prefix, whatever it is) that files of it have, all of them. */
  readonly signs: readonly string[];
  /** What the prefix ends in where the tower is part of a whole model. */
  readonly tower: string;
  readonly names: readonly OtherName[];
  /** The rest of a whole model, which is left out. */
  readonly rest: RegExp;
}

/**
 * What the tensors of an architecture are called in files, as data: other spellings and namings, and those that
 * follow from others.
 */
export interface TensorLayout {
  /** For messages, with its article. */
  readonly title: string;
  readonly spellings: readonly Spelling[];
  readonly derived: readonly DerivedTensor[];
  readonly ties: readonly TiedTensor[];
  /** Undefined: names are compared as they are. */
  readonly tower?: TowerNames;
  readonly otherNamings: readonly OtherNaming[];
  /** Where transformers calls its modules otherwise than files; undefined: as files do. */
  readonly modules?: ModuleNames;
}

/** From the names of files to those of transformers' modules, which adapters have. */
export interface ModuleNames {
  readonly spellings: readonly Spelling[];
  /** Tensors of files that are several modules there, so that an adapter of them keeps the names of files. */
  readonly divided?: RegExp;
}

/** The layout of a family whose tensors are known one by one. */
export type TowerLayout = TensorLayout & { readonly tower: TowerNames };

/** Whether a tensor is one that the model computes. */
export function isDerived({ derived }: Pick<TensorLayout, "derived">, name: string, shape: readonly number[]): boolean {
  return derived.some((entry) => entry.name.test(name) && (entry.shape?.(shape) ?? true));
}
