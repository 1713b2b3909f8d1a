/** Marks the entry of the contents whose section is being read. */

export function markSectionInView(): void {
  const links = new Map(
    [...document.querySelectorAll<HTMLAnchorElement>("nav.contents a")].map((link) => [
      decodeURIComponent(link.hash.slice(1)),
      link,
    ]),
  );
  const sections = [...document.querySelectorAll("main > section")];
  const visible = new Set<Element>();
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) visible.add(target);
        else visible.delete(target);
      }
      const current = sections.find((section) => visible.has(section));
      if (current === undefined) return;
      for (const [id, link] of links) link.ariaCurrent = id === current.id ? "true" : null;
    },
    // What has just scrolled in at the bottom is not yet being read.
    { rootMargin: "-10% 0px -60% 0px" },
  );
  for (const section of sections) observer.observe(section);
}
