/** Hooks of Node's module loader, which runs them in a thread of its own: `adamerge` is this package for every module, wherever it lies. */

/** What modules import, and the file of this package that it is. */
let own: ReadonlyMap<string, string> = new Map();

/** Node hands over what `register` was given. */
export function initialize(data: { readonly own: Readonly<Record<string, string>> }): void {
  own = new Map(Object.entries(data.own));
}

/** As Node's documentation has it: module.html, "resolve". */
export function resolve<Context, Result>(
  specifier: string,
  context: Context,
  next: (specifier: string, context: Context) => Result,
): Result | { readonly url: string; readonly shortCircuit: true } {
  const url = own.get(specifier);
  if (url !== undefined) return { url, shortCircuit: true };
  return next(specifier, context);
}
