const words = e => (e.getAttribute("aria-label") || e.innerText || e.value || "").trim().replace(/\s+/g, " ");
// The label of a field without what says that it is optional or needed.
const label = e => [...(e.labels || [])].map(l => l.innerText.trim().replace(/\s+/g, " ")).join(" ");
const seen = e => e.checkVisibility({visibilityProperty: true}) && e.getClientRects().length > 0;
// find returns the one element that is meant: several that are seen and match are an error.
function find(what, wanted) {
  const kinds = {
    heading: ["h1", () => true],
    field: ["input:not([type=hidden]), select, textarea", e => label(e) === wanted || e.getAttribute("aria-label") === wanted],
    action: ["a[href], button, input[type=submit]", e => words(e) === wanted],
    control: ["a[href], button, summary, input, label", e => words(e) === wanted || label(e) === wanted],
  };
  const [selector, matches] = kinds[what];
  const all = [...document.querySelectorAll(selector)].filter(seen);
  let found = all.filter(matches);
  // A checkbox is hit by its label, too: the field itself is meant.
  if (what === "control" && found.length > 1) found = found.filter(e => e.tagName !== "LABEL");
  if (found.length === 1) return found[0];
  throw new Error(`${found.length} ${what}s are "${wanted}"; the page has: ${all.map(e => `"${what === "field" ? label(e) : words(e)}"`).join(", ")}`);
}
// focused tells what has the focus, and whether one can see it: an outline or a shadow, and within the window.
function focused() {
  const e = document.activeElement;
  if (!e || e === document.body) return {name: "", shown: false, on: false};
  const style = getComputedStyle(e), box = e.getBoundingClientRect();
  const marked = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 || style.boxShadow !== "none";
  const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  return {name: label(e) || words(e), shown: marked && inside, on: true};
}
