/**
 * Patterns of file names as data sets' cards have them: `*` and `?` within a folder, `**` across folders, everything else as it stands. Matched in
 * one pass over the name with the set of places in the pattern that it can have led to: time is pattern times name, whatever the stars.
 */

type Step = { readonly kind: "text"; readonly letter: string } | { readonly kind: "one" | "star" | "globstar" };

export interface Glob {
  /** Whether the whole name, with slashes, fits. */
  fits(name: string): boolean;
}

export function parseGlob(pattern: string): Glob {
  const steps = stepsOf(pattern);
  return {
    fits: (name) => {
      // Whether the name so far can have led to the place before each step; the last is behind all of them.
      let places = reachable(new Uint8Array(steps.length + 1), 0, steps);
      for (const letter of name) {
        const next = new Uint8Array(steps.length + 1);
        for (const [at, step] of steps.entries()) {
          if (places[at] !== 1) continue;
          if (step.kind === "globstar" || (step.kind === "star" && letter !== "/")) reachable(next, at, steps);
          else if (step.kind === "text" ? step.letter === letter : step.kind === "one" && letter !== "/")
            reachable(next, at + 1, steps);
        }
        places = next;
      }
      return places[steps.length] === 1;
    },
  };
}

/** Marks a place, and those behind it that stars which stand for nothing lead to. */
function reachable(places: Uint8Array, from: number, steps: readonly Step[]): Uint8Array {
  for (let at = from; places[at] === 0; at++) {
    places[at] = 1;
    const kind = steps[at]?.kind;
    if (kind !== "star" && kind !== "globstar") break;
  }
  return places;
}

function stepsOf(pattern: string): readonly Step[] {
  const steps: Step[] = [];
  // A slash behind two stars belongs to them: they also stand for no folder at all.
  for (const [part] of pattern.matchAll(/\*\*+\/?|\*|\?|[^*?]/gsu)) {
    if (part.startsWith("**")) steps.push({ kind: "globstar" });
    else if (part === "*") steps.push({ kind: "star" });
    else steps.push(part === "?" ? { kind: "one" } : { kind: "text", letter: part });
  }
  return steps;
}
