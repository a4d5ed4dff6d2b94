// How much each teacher counts.

import {axisX, barX, gridX, text} from "../plot.js";
import {NARROW, drawn, fitted, roomFor} from "./frame.js";
import {shortNames} from "./ranking.js";
import {AXIS, NARROW_ROW, ROW} from "./scores.js";
import {percent} from "./tuning.js";

function rowsOf(tuning) {
  const weights = Object.entries(tuning.output?.teacher_weights ?? {});
  const names = shortNames(weights.map(([checkpoint]) => checkpoint));
  return weights
    .map(([checkpoint, weight], index) => ({checkpoint, name: names[index], weight}))
    .sort((one, other) => other.weight - one.weight);
}

export const teachers = {
  nothing: "This method gives its teachers no weights, or they are not known yet.",

  label: (tuning) => `Weights of teachers: ${rowsOf(tuning).map(({checkpoint, weight}) => `${checkpoint} ${percent(weight)}`).join(", ")}`,

  draw(tuning, {width}) {
    const rows = rowsOf(tuning);
    if (!rows.length) return null;
    const narrow = width < NARROW;
    const room = narrow ? width - 16 : roomFor(rows.map(({name}) => name), width);
    return drawn({
      width,
      height: AXIS + (narrow ? NARROW_ROW : ROW) * rows.length,
      marginLeft: narrow ? 8 : room + 14,
      marginRight: 56,
      marginTop: 4,
      marginBottom: AXIS - 4,
      x: {domain: [0, Math.max(1, ...rows.map(({weight}) => weight))]},
      y: {axis: null, domain: rows.map(({checkpoint}) => checkpoint), padding: narrow ? 0.66 : 0.35},
      marks: [
        gridX({ticks: 4, stroke: "var(--border)", strokeOpacity: 1}),
        axisX({ticks: 4, tickSize: 0, tickFormat: (share) => percent(share, 0), label: "Weight", labelArrow: "none"}),
        barX(rows, {className: "weight", x: "weight", y: "checkpoint", dy: narrow ? 8 : 0, fill: "var(--accent)", rx: 2}),
        text(rows, {
          y: "checkpoint",
          text: ({name}) => fitted(name, room),
          frameAnchor: "left",
          textAnchor: narrow ? "start" : "end",
          dx: narrow ? 0 : -12,
          dy: narrow ? -10 : 0,
        }),
        text(rows, {x: "weight", y: "checkpoint", text: ({weight}) => percent(weight), textAnchor: "start", dx: 6, dy: narrow ? 8 : 0, fill: "var(--muted)"}),
      ],
    });
  },

  table: (tuning) => ({
    head: ["Teacher", "Weight"],
    rows: rowsOf(tuning).map(({checkpoint, weight}) => [checkpoint, percent(weight)]),
  }),
};
