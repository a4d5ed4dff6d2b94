// The engine: which figures there are, when they are drawn, and what stands beside a drawing (controls, a table).
//
// Drawings are made in animation frames, within a budget a frame, whatever comes in between; figures out of sight wait
// until they are seen, or until nothing has changed for a while. A drawing takes the place of the one before it in one step, at the same height.

import {byKeyboard} from "./keyboard.js";
import {charts} from "./registry.js";
import {tableOf} from "./tables.js";

/** Milliseconds of drawing in one frame, after which the others wait for the next: the browser has to lay it out yet. */
const BUDGET_MS = 8;
/** A frame that took so long is followed by a pause as long as it, so that the page stays responsive. */
const PAUSE_FROM_MS = 16;
/** After so long without a change figures out of sight are drawn too, one a frame. */
const QUIET_MS = 1500;
/** Pixels below which a canvas is hidden, or not laid out yet. */
const LAID_OUT = 40;

/** @typedef {{figure: HTMLElement, chart: object, dirty: boolean, seen: boolean, width: number}} Entry */

/** @type {Map<HTMLElement, Entry>} */
const entries = new Map();
/** @type {Map<string, unknown>} what has been read of data elements, or sent in events. */
const known = new Map();
let scheduled = false;
let quiet;

const sizes = new ResizeObserver((changes) => {
  for (const {target, contentRect} of changes) {
    const entry = entries.get(target.closest("figure"));
    if (entry && Math.abs(entry.width - contentRect.width) >= 1) mark(entry);
  }
});
const sight = new IntersectionObserver(
  (changes) => {
    for (const {target, isIntersecting} of changes) {
      const entry = entries.get(target);
      if (!entry) continue;
      entry.seen = isIntersecting;
      if (isIntersecting && entry.dirty) schedule();
    }
  },
  {rootMargin: "400px"},
);

/** Begins to watch the document. */
export function start() {
  look(document);
  new MutationObserver((changes) => {
    for (const {addedNodes, removedNodes, target} of changes) {
      for (const node of addedNodes) if (node.nodeType === 1) look(node);
      for (const node of removedNodes) if (node.nodeType === 1) forget(node);
      if (target.matches?.("script[type='application/json'][id]")) changed(target.id);
    }
  }).observe(document.documentElement, {childList: true, subtree: true});
  document.addEventListener("frontrunner:data", ({detail}) => changed(detail.id, detail.data));
  addEventListener("beforeprint", () => {
    for (const entry of entries.values()) if (entry.dirty) attempt(entry);
  });
}

function look(root) {
  for (const figure of matching(root, "figure[data-chart]")) {
    const chart = charts[figure.dataset.chart];
    const canvas = figure.querySelector(".chart-canvas");
    if (!chart || !canvas || entries.has(figure)) continue;
    const entry = {figure, chart, canvas, dirty: true, seen: false, first: true, width: 0, chosen: {}};
    entries.set(figure, entry);
    byKeyboard(canvas);
    sizes.observe(canvas);
    sight.observe(figure);
    schedule();
  }
  for (const element of matching(root, "script[type='application/json'][id]")) changed(element.id);
}

function matching(root, selector) {
  const found = [...(root.querySelectorAll?.(selector) ?? [])];
  return root.matches?.(selector) ? [root, ...found] : found;
}

function forget(root) {
  for (const figure of matching(root, "figure[data-chart]")) {
    if (figure.isConnected) continue;
    sizes.unobserve(figure.querySelector(".chart-canvas") ?? figure);
    sight.unobserve(figure);
    entries.delete(figure);
  }
}

function changed(id, data) {
  if (data === undefined) known.delete(id);
  else known.set(id, data);
  for (const entry of entries.values()) {
    if ([entry.figure.dataset.from, entry.figure.dataset.with].includes(id)) mark(entry);
  }
}

/** The data called `id`; null where there is none yet. */
export function dataOf(id) {
  if (!id) return null;
  if (!known.has(id)) {
    const text = document.getElementById(id)?.textContent.trim();
    known.set(id, text ? JSON.parse(text) : null);
  }
  return known.get(id);
}

function mark(entry) {
  entry.dirty = true;
  schedule();
  clearTimeout(quiet);
  quiet = setTimeout(rest, QUIET_MS);
}

/** Draw what nobody looks at: it is read aloud, and is on pictures of the whole page. */
function rest() {
  const entry = [...entries.values()].find(({dirty, canvas}) => dirty && canvas.clientWidth >= LAID_OUT);
  if (!entry) return;
  attempt(entry);
  quiet = setTimeout(() => requestAnimationFrame(rest), BUDGET_MS);
}

function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(frame);
}

function frame() {
  const begun = performance.now();
  const due = [...entries.values()].filter((entry) => entry.dirty && (entry.seen || entry.first));
  due.sort((one, other) => Number(other.seen) - Number(one.seen));
  for (const entry of due) {
    attempt(entry);
    if (performance.now() - begun > BUDGET_MS) break;
  }
  const took = performance.now() - begun;
  scheduled = false;
  if (due.some((entry) => entry.dirty)) {
    scheduled = true;
    setTimeout(() => requestAnimationFrame(frame), took > PAUSE_FROM_MS ? took : 0);
  } else if (took > PAUSE_FROM_MS) {
    scheduled = true;
    setTimeout(() => {
      scheduled = false;
      if ([...entries.values()].some((entry) => entry.dirty && entry.seen)) schedule();
    }, took);
  }
}

/** A chart that cannot be drawn says so, and leaves the others alone. */
function attempt(entry) {
  try {
    show(entry);
  } catch (error) {
    entry.canvas.replaceChildren(nothing("This chart cannot be drawn from what came.", 0));
    reportError(error);
  }
}

function show(entry) {
  const {figure, chart, canvas} = entry;
  entry.dirty = entry.first = false;
  entry.width = canvas.clientWidth;
  if (entry.width < LAID_OUT) {
    entry.dirty = entry.first = true; // not laid out yet: the size observer comes back
    entry.seen = false;
    return;
  }
  const data = dataOf(figure.dataset.from);
  const other = dataOf(figure.dataset.with);
  const kept = canvas.firstElementChild?.getBoundingClientRect().height ?? 0;
  const drawn = data === null ? null : made(entry, data, other);
  canvas.replaceChildren(drawn ?? nothing(chart.nothing ?? "Nothing to draw yet.", kept));
  canvas.setAttribute("role", "img");
  canvas.tabIndex = drawn ? 0 : -1;
  canvas.setAttribute("aria-label", drawn ? chart.label(data, other, entry.state) : "Nothing is drawn yet");
  if (drawn && chart.table) offerTable(entry, () => chart.table(data, other, entry.state));
  figure.dataset.drawn = String(Number(figure.dataset.drawn ?? 0) + 1);
}

function made(entry, data, other) {
  const {figure, chart} = entry;
  const controls = chart.controls?.(data) ?? [];
  // What nobody chose follows the data: the picture of who leads now, and not of who was over first.
  const offered = controls.map(({name, options, value}) => {
    const chosen = entry.chosen[name];
    return [name, options.some((option) => option.value === chosen) ? chosen : value];
  });
  entry.state = Object.fromEntries(offered);
  offerControls(entry, controls);
  return chart.draw(data, {width: entry.width, other, ...entry.state}, figure);
}

function nothing(text, height) {
  const element = document.createElement("p");
  element.className = "chart-empty";
  element.textContent = text;
  element.style.minHeight = `${height}px`;
  return element;
}

function offerControls(entry, controls) {
  const shape = JSON.stringify(controls);
  if (entry.shape === shape) return;
  entry.shape = shape;
  const former = entry.figure.querySelector(".chart-controls");
  const focused = [...(former?.querySelectorAll("select") ?? [])].indexOf(document.activeElement);
  former?.remove();
  const offered = controls.filter(({options}) => options.length > 1);
  if (!offered.length) return;
  const bar = document.createElement("div");
  bar.className = "chart-controls";
  for (const {name, label, options} of offered) {
    const select = document.createElement("select");
    for (const {value, title} of options) select.add(new Option(title, value, false, value === entry.state[name]));
    select.addEventListener("change", () => {
      entry.chosen[name] = select.value;
      mark(entry);
    });
    const around = document.createElement("label");
    around.append(label, " ", select);
    bar.append(around);
  }
  entry.figure.querySelector("figcaption").after(bar);
  bar.querySelectorAll("select")[focused]?.focus();
}

/** A table of what is drawn, filled when it is opened, and again when there is more while it is open. */
function offerTable(entry, table) {
  let details = entry.figure.querySelector("details.chart-table");
  if (!details) {
    details = document.createElement("details");
    details.className = "chart-table";
    const summary = document.createElement("summary");
    summary.textContent = "As a table";
    details.append(summary);
    details.addEventListener("toggle", () => details.open && fill(entry, details));
    entry.figure.append(details);
  }
  entry.table = table;
  if (details.open) fill(entry, details);
}

function fill(entry, details) {
  const caption = entry.figure.querySelector("figcaption").textContent.trim();
  details.querySelector(".table-wrap")?.remove();
  details.append(tableOf(entry.table(), caption));
}
