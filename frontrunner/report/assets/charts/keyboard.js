// Tips without a pointer: in a drawing that has the focus the arrow keys go from mark to mark, Escape puts the tip away.

/** What tips are about. */
const MARKS = "[aria-label=dot] circle, [aria-label=cell] rect, [aria-label=bar] rect";
/** A drawing without marks, such as a curve, has so many places from left to right. */
const PLACES = 50;
const HINT = "Arrow keys show the numbers";

const isAcross = (key) => key === "ArrowLeft" || key === "ArrowRight";
const isBack = (key) => key === "ArrowLeft" || key === "ArrowUp";

/** Lets the tips of whatever is drawn in a canvas be reached. @param {HTMLElement} canvas */
export function byKeyboard(canvas) {
  const hint = element("chart-hint", HINT);
  hint.setAttribute("aria-hidden", "true");
  const told = element("visually-hidden", "");
  told.setAttribute("role", "status");
  canvas.after(hint, told);
  let at = -1;

  const leave = () => {
    at = -1;
    told.textContent = "";
    for (const svg of canvas.querySelectorAll("svg.plot")) point(svg, "pointerleave", 0, 0);
  };
  canvas.addEventListener("blur", leave);
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return leave();
    const stops = stopsOf(canvas);
    const next = nextOf(stops, Math.min(at, stops.length - 1), event.key);
    if (next === undefined) return undefined;
    event.preventDefault();
    leave();
    at = next;
    const {svg, mark, share} = stops[at];
    (mark ?? svg).scrollIntoView({block: "nearest"});
    const [x, y] = mark ? middleOf(mark) : middleOf(svg, share);
    point(svg, "pointermove", x, y);
    const lines = [...svg.querySelectorAll("[aria-label=tip] tspan")].map((line) => line.textContent.replaceAll("\u200b", "").trim());
    told.textContent = lines.filter(Boolean).join(", ");
    return undefined;
  });
}

/** @returns {{svg: SVGElement, mark?: SVGElement, share?: number, place: number[]}[]} as they are drawn */
function stopsOf(canvas) {
  return [...canvas.querySelectorAll("svg.plot")].flatMap((svg) => {
    const marks = [...svg.querySelectorAll(MARKS)];
    if (marks.length) return marks.map((mark) => ({svg, mark, place: middleOf(mark).map(Math.round)}));
    const shares = Array.from({length: PLACES}, (_, index) => (index + 0.5) / PLACES);
    return shares.map((share) => ({svg, share, place: middleOf(svg, share).map(Math.round)}));
  });
}

/** The stop that a key leads to from the one at `at`; undefined where it leads nowhere. */
function nextOf(stops, at, key) {
  if (!stops.length) return undefined;
  if (key === "Home") return 0;
  if (key === "End") return stops.length - 1;
  if (!key.startsWith("Arrow")) return undefined;
  if (at < 0) return 0;
  // Cells go row by row, or column by column; dots and bars by their place along the arrow.
  const axis = isAcross(key) === Boolean(stops[at].mark?.closest("[aria-label=cell]")) ? 1 : 0;
  const order = stops.map((_, index) => index);
  order.sort((one, other) => stops[one].place[axis] - stops[other].place[axis] || stops[one].place[1 - axis] - stops[other].place[1 - axis]);
  return order[order.indexOf(at) + (isBack(key) ? -1 : 1)];
}

function middleOf(node, share = 0.5) {
  const {left, top, width, height} = node.getBoundingClientRect();
  return [left + share * width, top + height / 2];
}

function point(svg, type, clientX, clientY) {
  svg.dispatchEvent(new PointerEvent(type, {clientX, clientY, pointerType: "mouse"}));
}

function element(className, text) {
  const made = document.createElement("p");
  made.className = className;
  made.textContent = text;
  return made;
}
