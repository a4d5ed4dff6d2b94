// Bars of shares, a name at each: at its left, or above it where there is no room.

import {axisX, barX, gridX, text} from "../plot.js";
import {NARROW, drawn, fitted, roomFor} from "./frame.js";

/** As layout.py counts: pixels of a row, of a narrow one whose name stands above, and of the axis. */
export const ROW = 26;
export const NARROW_ROW = 38;
export const AXIS = 44;

/**
 * @typedef {object} Bar
 * @property {string} id told apart by it
 * @property {string} name
 * @property {number} share
 * @property {string} said at its end
 * @property {string} colour
 */

/**
 * @param {Bar[]} bars the first one on top
 * @param {number} width
 * @param {{className: string, label: string, most?: number}} options the axis's label, and its end
 */
export function barChart(bars, width, {className, label, most = 1}) {
  const narrow = width < NARROW;
  const room = narrow ? width - 16 : roomFor(bars.map(({name}) => name), width);
  const below = narrow ? 8 : 0;
  const percent = (share) => `${Math.round(100 * share)}%`;
  return drawn({
    width,
    height: AXIS + (narrow ? NARROW_ROW : ROW) * bars.length,
    marginLeft: narrow ? 8 : room + 14,
    marginRight: 64,
    marginTop: 4,
    marginBottom: AXIS - 4,
    x: {domain: [0, most], nice: true},
    y: {axis: null, domain: bars.map(({id}) => id), padding: narrow ? 0.66 : 0.35},
    marks: [
      gridX({ticks: 4, stroke: "var(--border)", strokeOpacity: 1}),
      axisX({ticks: 4, tickSize: 0, tickFormat: percent, label, labelArrow: "none"}),
      barX(bars, {className, x: "share", y: "id", dy: below, fill: "colour", rx: 2}),
      text(bars, {
        y: "id",
        text: ({name}) => fitted(name, room),
        frameAnchor: "left",
        textAnchor: narrow ? "start" : "end",
        dx: narrow ? 0 : -12,
        dy: narrow ? -10 : 0,
      }),
      text(bars, {x: "share", y: "id", text: "said", textAnchor: "start", dx: 6, dy: below, fill: "var(--muted)"}),
    ],
  });
}
