/**
 * The licence of a merge, as far as the cards of its models say one: that which all of them have, or none. What follows
 * from several licences is for people to say.
 */
import type { CardFacts, Licence } from "./card-facts.js";
import { codeSpan, markdownLine } from "./markdown.js";

/** A model that was merged, as the card calls it. */
export interface MergedModel {
  readonly name: string;
  readonly facts: CardFacts;
}

/** For the card's head; undefined unless all models have the same. */
export function commonLicence(models: readonly MergedModel[]): Licence | undefined {
  const [first, ...others] = models.map(({ facts }) => facts.licence);
  if (first === undefined) return undefined;
  const isSame = others.every((other) => other?.id === first.id && other.name === first.name);
  return isSame ? first : undefined;
}

/** A paragraph of what is known, and of what is not. */
export function licenceText(models: readonly MergedModel[]): string {
  const common = commonLicence(models);
  if (common !== undefined) return `${shown(common)}, which the base and all experts have.`;
  const byLicence = new Map<string, string[]>();
  const silent: string[] = [];
  for (const { name, facts } of models)
    if (facts.licence === undefined) silent.push(name);
    else byLicence.set(shown(facts.licence), [...(byLicence.get(shown(facts.licence)) ?? []), name]);
  const known = [...byLicence].map(([licence, names]) => `${licence}: ${names.map(codeSpan).join(", ")}.`);
  if (known.length === 0) return "Not stated: no card of the base or of an expert names one.";
  const rest = silent.length === 0 ? [] : [`No licence is named by ${silent.map(codeSpan).join(", ")}.`];
  return ["Not stated for the merge, since its models differ:", ...known, ...rest].join(" ");
}

function shown({ id, name, link }: Licence): string {
  const text = name === undefined ? id : `${id} (${name})`;
  return link === undefined ? markdownLine(text) : `${markdownLine(text)}, ${codeSpan(link)}`;
}
