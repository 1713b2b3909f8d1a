/** One explanation at a time, beside what is pointed at or has the focus: headings, cards, and the marks of figures. */

/** Between the pointer and the box. */
const GAP = 12;

export function addTooltips(): void {
  const box = document.createElement("div");
  box.className = "tooltip";
  box.id = "tooltip";
  box.role = "tooltip";
  box.hidden = true;
  document.body.append(box);
  // Where no script runs the browser shows titles; two boxes would be one too many.
  for (const element of document.querySelectorAll<HTMLElement>("main [title]")) {
    element.dataset.tip = element.title;
    element.removeAttribute("title");
    if (element.querySelector("button") === null) element.tabIndex = 0;
  }
  let shown: Element | undefined;
  const hide = (): void => {
    shown?.removeAttribute("aria-describedby");
    shown = undefined;
    box.hidden = true;
  };
  const show = (target: Element, x: number, y: number): void => {
    if (shown !== target) {
      hide();
      shown = target;
      target.setAttribute("aria-describedby", box.id);
      const lines = (target.getAttribute("data-tip") ?? "").split("; ");
      box.replaceChildren(
        ...lines.flatMap((line, index) => (index === 0 ? [line] : [document.createElement("br"), line])),
      );
      box.hidden = false;
    }
    const { width, height } = box.getBoundingClientRect();
    const left = Math.max(GAP, Math.min(x + GAP, innerWidth - width - GAP));
    const top = y + GAP + height > innerHeight ? y - GAP - height : y + GAP;
    box.style.transform = `translate(${left}px, ${Math.max(GAP, top)}px)`;
  };
  const withTip = (event: Event): Element | null =>
    event.target instanceof Element ? event.target.closest("[data-tip]") : null;
  document.addEventListener("pointermove", (event) => {
    const target = withTip(event);
    if (target === null) hide();
    else show(target, event.clientX, event.clientY);
  });
  document.addEventListener("focusin", (event) => {
    const target = withTip(event);
    if (target === null || !target.matches(":focus-visible, :has(:focus-visible)")) return;
    const { left, bottom } = target.getBoundingClientRect();
    show(target, left, bottom);
  });
  document.addEventListener("focusout", hide);
  document.addEventListener("scroll", hide, { capture: true, passive: true });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });
}
