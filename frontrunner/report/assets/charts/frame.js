// One way to call Plot for all charts: class, type and margins are the same everywhere.

import {axisX, axisY, gridX, gridY, plot} from "../plot.js";

/** Of the width that names may take at the left. */
const NAMES = 0.42;
/** Narrower drawings have their names above what they name. */
export const NARROW = 520;
export const FONT_PX = 12;

/** How tips look. */
export const TIP = {fill: "var(--surface)", stroke: "var(--border-strong)", lineWidth: 28};

let ruler;

/** Pixels that a text takes. @param {string} words */
export function widthOf(words) {
  if (!ruler) {
    ruler = document.createElement("canvas").getContext("2d");
    ruler.font = `${FONT_PX}px ${getComputedStyle(document.documentElement).getPropertyValue("--sans") || "sans-serif"}`;
  }
  return ruler.measureText(words).width;
}

/** A name in so many pixels, its middle left out where it is longer. @param {string} name @param {number} pixels */
export function fitted(name, pixels) {
  if (widthOf(name) <= pixels) return name;
  let [least, most] = [1, name.length];
  while (least < most) {
    const middle = Math.ceil((least + most) / 2);
    if (widthOf(shortened(name, middle)) <= pixels) least = middle;
    else most = middle - 1;
  }
  return shortened(name, least);
}

function shortened(name, characters) {
  const tail = Math.floor((characters - 1) / 2);
  return `${name.slice(0, characters - 1 - tail)}…${tail ? name.slice(-tail) : ""}`;
}

/**
 * Calls Plot; its class is constant, on which the hash of its style in the security policy rests.
 * @param {object} options as Plot's; marks that are false are left out
 * @returns {SVGSVGElement}
 */
export function drawn(options) {
  const marks = options.marks.filter(Boolean);
  const style = {fontSize: `${FONT_PX}px`, background: "none"};
  const svg = plot({className: "plot", r: {type: "identity"}, ...options, marks, style});
  svg.removeAttribute("aria-label");
  svg.setAttribute("aria-hidden", "true");
  return svg;
}

/**
 * Grid and axes of two numbers, as Plot's options of each.
 * @param {{ticks: number | number[], label: string, tickFormat: (value: number) => string}} x
 * @param {{ticks: number | number[], label: string, tickFormat: (value: number) => string}} y
 */
export function axes(x, y) {
  const grid = {stroke: "var(--border)", strokeOpacity: 1};
  const axis = {tickSize: 0, labelArrow: "none"};
  return [
    gridX({...grid, ticks: x.ticks}),
    gridY({...grid, ticks: y.ticks}),
    axisX({...axis, ...x}),
    axisY({...axis, ...y}),
  ];
}

/**
 * Room for names at the left of a drawing, in pixels.
 * @param {string[]} names
 * @param {number} width of the drawing
 * @param {number} [share] of the width that they may take
 */
export function roomFor(names, width, share = NAMES) {
  return Math.ceil(Math.min(Math.max(...names.map(widthOf), 20), share * width));
}

/** A list that explains colours. @param {[string, string][]} entries of colour and meaning */
export function key(entries) {
  const list = document.createElement("ul");
  list.className = "chart-key";
  for (const [colour, meaning] of entries) {
    const item = document.createElement("li");
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 10 10");
    const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    for (const [name, value] of Object.entries({cx: 5, cy: 5, r: 5, fill: colour})) dot.setAttribute(name, value);
    svg.append(dot);
    item.append(svg, meaning);
    list.append(item);
  }
  return list;
}

/** Several drawings below each other as one. */
export function together(...parts) {
  const element = document.createElement("div");
  element.append(...parts.filter(Boolean));
  return element;
}
