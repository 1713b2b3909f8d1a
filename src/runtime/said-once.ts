/** Says each line once: what several tasks, or several fits of the same examples, have in common is worth saying once. */
export function saidOnce(log: (line: string) => void): (line: string) => void {
  const said = new Set<string>();
  return (line) => {
    if (said.has(line)) return;
    said.add(line);
    log(line);
  };
}
