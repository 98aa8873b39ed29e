// Returns what is wrong with the layout of the page, as texts.
(() => {
  const problems = [];
  const name = e => {
    const words = (e.getAttribute("aria-label") || e.innerText || e.value || "").trim().replace(/\s+/g, " ").slice(0, 40);
    return e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + (e.classList.length ? "." + [...e.classList].join(".") : "") + (words ? ` "${words}"` : "");
  };
  const style = new Map();
  const styleOf = e => style.get(e) || style.set(e, getComputedStyle(e)).get(e);
  // Texts for screen readers alone are clipped to a pixel.
  const hidden = e => !e.checkVisibility({visibilityProperty: true, opacityProperty: true}) || e.closest(".visually-hidden, .sr-only") ||
    e.getBoundingClientRect().width <= 1 || e.getBoundingClientRect().height <= 1;
  const scrolls = e => { for (let p = e.parentElement; p; p = p.parentElement) if (/auto|scroll/.test(styleOf(p).overflowX)) return true; return false; };
  const elements = [...document.body.querySelectorAll("*")].filter(e => !(e instanceof SVGElement && e.tagName !== "svg") && !hidden(e));

  const root = document.scrollingElement;
  if (root.scrollWidth > root.clientWidth) {
    const wide = elements.filter(e => !scrolls(e) && e.getBoundingClientRect().right > root.clientWidth + 0.5);
    problems.push(`the page scrolls sideways: ${root.scrollWidth} px in ${root.clientWidth} px: ${wide.slice(-3).map(name).join(", ")}`);
  }

  for (const e of elements) {
    const s = styleOf(e);
    if (e.matches("input, select, textarea")) continue; // one can move within it
    if (/hidden|clip/.test(s.overflowX + s.overflowY) && (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1) && e.clientWidth > 1) {
      problems.push(`cut: ${name(e)}: ${e.scrollWidth} × ${e.scrollHeight} px in ${e.clientWidth} × ${e.clientHeight} px`);
    }
  }

  // What one can hit: the box of a checkbox is its label's. The skip link is shown above everything while it has the focus.
  const targets = elements.filter(e => e.matches("a[href], button, input, select, textarea, summary") && !e.matches(".skip"));
  for (const [i, a] of targets.entries()) {
    const box = a.getBoundingClientRect();
    const control = a.matches("button, select, textarea, summary, a.button, nav a, input:not([type=checkbox], [type=radio])");
    if (control && box.height < 43.5) problems.push(`too small to hit: ${name(a)} is ${box.height.toFixed(1)} px high, want 44`);
    for (const b of targets.slice(i + 1)) {
      if (a.contains(b) || b.contains(a)) continue;
      // A link that wraps has a box for each line.
      const overlap = [...a.getClientRects()].some(p => [...b.getClientRects()].some(q =>
        Math.min(p.right, q.right) - Math.max(p.left, q.left) > 1 && Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 1));
      if (overlap && !inField(a, b) && !inField(b, a)) problems.push(`overlap: ${name(a)} and ${name(b)}`);
    }
  }
  // A button may lie inside the field that it belongs to, as the one that shows a password.
  function inField(field, button) {
    return field.matches("input") && button.matches("button") && field.parentElement === button.parentElement;
  }
  return problems;
})()
