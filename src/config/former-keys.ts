/** Keys that were renamed: configs and run folders of before are read as if they had the new ones. */
const FORMER: ReadonlyMap<string, string> = new Map([["data.pixel_cache_gb", "data.cache_gb"]]);

/** The key's name today. */
export function presentKey(key: string): string {
  return FORMER.get(key) ?? key;
}

/** A parsed configuration with the names of today, for one that was read as a whole. */
export function withPresentKeys(value: unknown): unknown {
  let renamed = value;
  for (const [former, present] of FORMER)
    renamed = withPresentKey(renamed, former.split("."), present.split(".").at(-1) ?? "");
  return renamed;
}

function withPresentKey(value: unknown, [first = "", ...rest]: readonly string[], present: string): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, first)) return value;
  const entries = Object.entries(value).map(([key, inner]): [string, unknown] => {
    if (key !== first) return [key, inner];
    return rest.length === 0 ? [present, inner] : [key, withPresentKey(inner, rest, present)];
  });
  return Object.fromEntries(entries);
}
