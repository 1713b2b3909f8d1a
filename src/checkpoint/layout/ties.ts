/**
 * Tensors that a file leaves out because the model uses another one in their place: a head that is the table of words, a bias that is in two
 * modules. mergekit reads the same: of a model without a head of its own the head is its table of words.
 */
import type { NamedShapes } from "./align-names.js";
import type { TensorLayout, TiedTensor } from "./tensor-layout.js";

/** How the layout says that the tensor may be tied; undefined for one that is always itself. */
export function tieOf({ ties }: Pick<TensorLayout, "ties">, name: string): TiedTensor | undefined {
  return ties.find((tie) => tie.name.test(name));
}

/** The tensor of the file that stands for one that it leaves out, by name; undefined where there is none of this shape. */
export function tiedSource(
  { sources }: TiedTensor,
  name: string,
  shape: readonly number[],
  tensors: NamedShapes,
): string | undefined {
  for (const source of sources)
    for (const [other, otherShape] of tensors)
      if (other !== name && (other === source || other.endsWith(`.${source}`)) && otherShape.join() === shape.join())
        return other;
  return undefined;
}

/** What a config.json says of words and head; undefined where it does not say, which means yes for most families and no for some. */
export function saysTied(config: unknown): boolean | undefined {
  if (typeof config !== "object" || config === null) return undefined;
  const own = "tie_word_embeddings" in config ? config.tie_word_embeddings : undefined;
  if (typeof own === "boolean") return own;
  const text = "text_config" in config ? config.text_config : undefined;
  return typeof text === "object" && text !== null ? saysTied(text) : undefined;
}
