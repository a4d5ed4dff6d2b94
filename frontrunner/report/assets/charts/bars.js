// A row for each name: at its left, or above it where there is no room; and bars of shares in such rows.

import {axisX, barX, gridX, pointerY, text, tip} from "../plot.js";
import {NARROW, TIP, drawn, fitted, roomFor} from "./frame.js";

/** As layout.py counts: pixels of a row, of a narrow one whose name stands above, and of the axis. */
export const ROW = 26;
export const NARROW_ROW = 38;
export const AXIS = 44;

/**
 * @typedef {object} Row
 * @property {string} id its whole name; told apart by it
 * @property {string} name the same, shortened
 */

/**
 * Rows along one axis.
 * @template {Row} R
 * @param {R[]} rows the first one on top
 * @param {number} width
 * @param {object} look
 * @param {object} look.x Plot's scale
 * @param {string} look.label the axis's
 * @param {number} look.ticks
 * @param {(value: number) => string} look.tickFormat
 * @param {string} look.value the field that a tip points at
 * @param {(row: R) => string} look.said what the tip says
 * @param {(below: number) => object[]} look.marks what stands in the rows, so many pixels below their middle
 */
export function named(rows, width, {x, label, ticks, tickFormat, value, said, marks}) {
  const narrow = width < NARROW;
  const room = narrow ? width - 16 : roomFor(rows.map(({name}) => name), width);
  const below = narrow ? 8 : 0;
  const between = narrow ? 0.66 : 0.35;
  return drawn({
    width,
    height: AXIS + (narrow ? NARROW_ROW : ROW) * rows.length,
    marginLeft: narrow ? 8 : room + 14,
    marginRight: 64,
    marginTop: 4,
    marginBottom: AXIS - 4,
    x,
    y: {axis: null, type: "band", domain: rows.map(({id}) => id), paddingInner: between, paddingOuter: between / 2},
    marks: [
      gridX({ticks, stroke: "var(--border)", strokeOpacity: 1}),
      axisX({ticks, tickSize: 0, tickFormat, label, labelArrow: "none"}),
      text(rows, {
        className: "name",
        y: "id",
        text: ({name}) => fitted(name, room),
        frameAnchor: "left",
        textAnchor: narrow ? "start" : "end",
        dx: narrow ? 0 : -12,
        dy: narrow ? -10 : 0,
        fontWeight: ({rank}) => (rank === 1 ? 700 : 400),
      }),
      ...marks(below),
      tip(rows, pointerY({...TIP, x: value, y: "id", dy: below, title: said})),
    ],
  });
}

/**
 * Bars of shares.
 * @param {(Row & {share: number, said: string, colour: string})[]} bars `said` stands at a bar's end
 * @param {number} width
 * @param {{className: string, label: string, most?: number}} options the axis's label, and its end
 */
export function barChart(bars, width, {className, label, most = 1}) {
  return named(bars, width, {
    x: {domain: [0, most], nice: true},
    label,
    ticks: 4,
    tickFormat: (share) => `${Math.round(100 * share)}%`,
    value: "share",
    said: ({id, said}) => `${id}\n${said}`,
    marks: (below) => [
      barX(bars, {className, x: "share", y: "id", dy: below, fill: "colour", rx: 2}),
      text(bars, {x: "share", y: "id", text: "said", textAnchor: "start", dx: 6, dy: below, fill: "var(--muted)"}),
    ],
  });
}
