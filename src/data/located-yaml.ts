/** YAML whose values know their lines, so that mistakes found later can be shown where they are. */
import { isNode, LineCounter, parseDocument, visit } from "yaml";
import { ConfigError } from "../errors.js";

export interface LocatedYaml {
  readonly value: unknown;
  /** `file:line` of the value at a key path, or of its nearest parent. */
  locate(path: readonly PropertyKey[]): string;
}

/** Throws ConfigError with every mistake, each with its line. Aliases are refused. */
export function parseLocatedYaml(source: string, file: string): LocatedYaml {
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false, uniqueKeys: true, version: "1.2" });
  const problems = [...document.errors, ...document.warnings].map(
    (problem) => `${file}:${lines.linePos(problem.pos[0]).line}: not valid YAML: ${problem.message}`,
  );
  // Aliases can expand a few hundred bytes to gigabytes.
  visit(document, {
    Alias: (_, alias) => void problems.push(`${file}: alias *${alias.source}: write the value out instead`),
  });
  if (problems.length > 0) throw new ConfigError(problems.join("\n"));
  const locate = (path: readonly PropertyKey[]) => {
    for (let depth = path.length; depth >= 0; depth--) {
      const node = depth === 0 ? document.contents : document.getIn(path.slice(0, depth), true);
      if (isNode(node) && node.range != null) return `${file}:${lines.linePos(node.range[0]).line}`;
    }
    return file;
  };
  return { value: document.toJS(), locate };
}
