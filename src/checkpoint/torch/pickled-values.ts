/** What a pickle of tensors is read into: plain records, none of which is or calls an object of a class. */
import { quote } from "../../runtime/printable.js";

/** The most dims that PyTorch has. */
export const MAX_RANK = 64;

export interface PickledStorage {
  readonly kind: "storage";
  readonly dtype: string;
  /** Of the record with the elements. */
  readonly key: string;
  /** Elements. */
  readonly count: number;
}

export interface PickledTensor {
  readonly kind: "tensor";
  readonly storage: PickledStorage;
  /** In elements, as the strides. */
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

export interface PickledDict {
  readonly kind: "dict";
  readonly isOrdered: boolean;
  readonly entries: Map<PickledValue, PickledValue>;
}

/** An object of a TorchScript class: what the file says of it, nothing that acts. */
export interface PickledObject {
  readonly kind: "object";
  /** Module and name, with a blank between them. */
  readonly className: string;
  /** Its attributes, or whatever its class would restore it from; undefined until the file has said it. */
  state: PickledValue | undefined;
}

/** Values refer to each other as in Python, so that one may hold itself: do not walk through them without a bound. */
export type PickledValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | { readonly kind: "tuple"; readonly items: readonly PickledValue[] }
  | { readonly kind: "list"; readonly items: PickledValue[] }
  | { readonly kind: "class"; readonly name: string }
  /** Apart from integers, which sizes and offsets must be. */
  | { readonly kind: "float"; readonly value: number }
  | PickledDict
  | PickledObject
  | PickledStorage
  | PickledTensor;

type Kinded = Extract<PickledValue, { readonly kind: string }>;

export function isKind<K extends Kinded["kind"]>(
  value: PickledValue | undefined,
  kind: K,
): value is Extract<Kinded, { readonly kind: K }> {
  return typeof value === "object" && value !== null && value.kind === kind;
}

/** A value in a message. */
export function described(value: PickledValue | undefined): string {
  if (value === undefined) return "none";
  if (value === null) return "None";
  if (typeof value === "string") return quote(value);
  if (typeof value !== "object") return String(value).slice(0, 40);
  return value.kind === "class" ? value.name.replace(" ", ".") : `a ${value.kind}`;
}
