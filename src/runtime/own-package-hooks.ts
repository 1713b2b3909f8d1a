/** Hooks of Node's module loader, which runs them in a thread of its own: `adamerge` is this package for every module, wherever it lies. */

const PACKAGE = "adamerge";
let own: string | undefined;

/** Node hands over what `register` was given. */
export function initialize(data: { readonly own: string }): void {
  own = data.own;
}

/** As Node's documentation has it: module.html, "resolve". */
export function resolve<Context, Result>(
  specifier: string,
  context: Context,
  next: (specifier: string, context: Context) => Result,
): Result | { readonly url: string; readonly shortCircuit: true } {
  if (specifier === PACKAGE && own !== undefined) return { url: own, shortCircuit: true };
  return next(specifier, context);
}
