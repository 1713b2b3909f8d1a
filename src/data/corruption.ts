/** The corruption that a run asks for, of whatever kind; each kind of example has a registry of its own (`image/corruptions`, `text/corruptions`). */
import { ConfigError } from "../errors.js";

/** A corruption of examples with its strength. */
export interface ChosenCorruption {
  readonly name: string;
  /** 1 to 5. */
  readonly severity: number;
  readonly seed: number;
}

/** What entries of all registries have. */
export interface NamedCorruption {
  /** As in configs. */
  readonly name: string;
  readonly title: string;
  /** The severities that there are; all five if not given. */
  readonly severities?: readonly number[];
}

/** The entry that was chosen. `examples`: what the registry is for. Throws ConfigError for one of another kind, and for a severity that there is not. */
export function chosenCorruption<Entry extends NamedCorruption>(
  registry: ReadonlyMap<string, Entry>,
  { name, severity }: ChosenCorruption,
  examples: string,
): Entry {
  const entry = registry.get(name);
  if (entry === undefined)
    throw new ConfigError(
      `data.corruption: expected one for ${examples} (${[...registry.keys()].join(", ")}) or none, found ${name}`,
    );
  const { severities = [1, 2, 3, 4, 5] } = entry;
  if (!severities.includes(severity))
    throw new ConfigError(
      `data.corruption_severity: expected one of ${severities.join(", ")} with corruption ${name}, found ${severity}`,
    );
  return entry;
}
