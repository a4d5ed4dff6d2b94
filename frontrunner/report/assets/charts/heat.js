// Heat maps: cells whose colour mixes the ground with one hue, two hues where values have a sign.

import {axisX, axisY, cell, pointer, text, tip} from "../plot.js";
import {FONT_PX, TIP, drawn, fitted, roomFor, widthOf} from "./frame.js";

/** As layout.py counts: pixels of a row, and of the names above and the label below. */
export const CELL = 24;
export const ABOVE = 104;
export const BELOW = 28;
/** Names above stand slanted, and upright over columns narrower than this. */
const SLANTED = 18;
const SLANT_DEGREES = 40;
/** Pixels at the right of the last column, besides what its slanted name needs. */
const RIGHT = 8;
/**
 * @typedef {object} Heat
 * @property {string[]} rows names
 * @property {string[]} columns names
 * @property {(row: number, column: number) => number?} value
 * @property {(value: number, row: number, column: number) => number} strength -1 to 1, how much of the hue
 * @property {(value: number) => string} shown the number in a cell
 * @property {(row: number, column: number) => string} said by a tip
 * @property {string} columnLabel
 */

/**
 * @param {Heat} heat
 * @param {number} width
 * @param {number} [largest] pixels that a cell is wide at most
 */
export function heatMap(heat, width, largest = 56) {
  const left = roomFor(heat.rows, width, 0.3) + 12;
  const cosine = Math.cos((SLANT_DEGREES * Math.PI) / 180);
  const overhang = cosine * Math.min(118, Math.max(...heat.columns.map(widthOf)));
  const sideOf = (right) => Math.min(largest, Math.max(6, (width - left - right) / heat.columns.length));
  const slanted = sideOf(RIGHT + overhang) >= SLANTED;
  const right = slanted ? RIGHT + overhang : RIGHT;
  const side = sideOf(right);
  const strength = ({value, row, column}) => heat.strength(value, row, column);
  const indices = (names) => names.map((_, index) => index);
  const cells = indices(heat.rows)
    .flatMap((row) => indices(heat.columns).map((column) => ({row, column, value: heat.value(row, column)})))
    .filter(({value}) => Number.isFinite(value));
  return drawn({
    width: left + side * heat.columns.length + right,
    height: ABOVE + CELL * heat.rows.length + BELOW,
    marginLeft: left,
    marginRight: right,
    marginTop: ABOVE,
    marginBottom: BELOW,
    x: {type: "band", domain: indices(heat.columns), padding: 0.04},
    y: {type: "band", domain: indices(heat.rows), padding: 0.04},
    color: {type: "identity"},
    marks: [
      axisX({
        anchor: "top",
        tickSize: 0,
        label: null,
        tickRotate: slanted ? -SLANT_DEGREES : -90,
        textAnchor: "start",
        tickFormat: (index) => fitted(heat.columns[index], slanted ? 118 : ABOVE - 12),
        fontSize: FONT_PX,
      }),
      axisX({anchor: "bottom", ticks: [], label: heat.columnLabel, labelAnchor: "left", labelArrow: "none"}),
      axisY({tickSize: 0, label: null, tickFormat: (index) => fitted(heat.rows[index], left - 12)}),
      cell(cells, {className: "cell", x: "column", y: "row", rx: 2, fill: (each) => colour(strength(each))}),
      // Numbers stand in the cells where all of them fit.
      Math.max(...cells.map(({value}) => widthOf(heat.shown(value)))) + 4 <= side &&
        text(cells, {
          x: "column",
          y: "row",
          text: ({value}) => heat.shown(value),
          fill: (each) => (Math.abs(strength(each)) > 0.5 ? "var(--on-heat)" : "var(--text)"),
        }),
      tip(cells, pointer({...TIP, x: "column", y: "row", title: ({row, column}) => heat.said(row, column)})),
    ],
  });
}

/** The ground mixed with a hue. @param {number} strength -1 to 1 */
export function colour(strength) {
  const share = Math.round(100 * Math.min(1, Math.abs(strength)));
  return `color-mix(in oklab, var(--${strength < 0 ? "heat-negative" : "heat"}) ${share}%, var(--surface-2))`;
}
