// The classes that a linear probe on the features confuses most: of the examples of one, the share taken for another.

import {axisX, barX, gridX, text} from "../plot.js";
import {NARROW, drawn, fitted, roomFor} from "./frame.js";
import {choice, lineOf} from "./features.js";
import {linesOf} from "./ranking.js";
import {AXIS, NARROW_ROW, ROW} from "./scores.js";

/** As layout.py counts. */
const SHOWN = 10;

const probed = (ranking) => linesOf(ranking).filter(({picture}) => picture?.confused?.length);

const rowsOf = (line) =>
  (line?.picture?.confused ?? []).slice(0, SHOWN).map((pair) => ({
    ...pair,
    name: `${pair.true_class} → ${pair.predicted}`,
    share: pair.count / pair.of,
  }));

export const confused = {
  nothing: "The linear probe confuses no classes, or none was fitted.",

  controls: (ranking) => choice(probed(ranking)),

  label(ranking) {
    const {true_class, predicted, count, of} = probed(ranking)[0].picture.confused[0];
    return `Classes that a linear probe confuses; most often ${true_class} is taken for ${predicted}, ${count} of ${of} times`;
  },

  draw(ranking, {width, checkpoint}) {
    const rows = rowsOf(lineOf(ranking, checkpoint));
    if (!rows.length) return null;
    const narrow = width < NARROW;
    const room = narrow ? width - 16 : roomFor(rows.map(({name}) => name), width);
    return drawn({
      width,
      height: AXIS + (narrow ? NARROW_ROW : ROW) * rows.length,
      marginLeft: narrow ? 8 : room + 14,
      marginRight: 64,
      marginTop: 4,
      marginBottom: AXIS - 4,
      x: {domain: [0, Math.max(...rows.map(({share}) => share), 0.05)], nice: true},
      y: {axis: null, domain: rows.map(({name}) => name), padding: narrow ? 0.66 : 0.35},
      marks: [
        gridX({ticks: 4, stroke: "var(--border)", strokeOpacity: 1}),
        axisX({ticks: 4, tickSize: 0, tickFormat: (share) => `${Math.round(100 * share)}%`, label: "Of the examples of the first class", labelArrow: "none"}),
        barX(rows, {className: "confusion", x: "share", y: "name", dy: narrow ? 8 : 0, fill: "var(--c1)", rx: 2}),
        text(rows, {
          y: "name",
          text: ({name}) => fitted(name, room),
          frameAnchor: "left",
          textAnchor: narrow ? "start" : "end",
          dx: narrow ? 0 : -12,
          dy: narrow ? -10 : 0,
        }),
        text(rows, {x: "share", y: "name", text: ({count, of}) => `${count} of ${of}`, textAnchor: "start", dx: 6, dy: narrow ? 8 : 0, fill: "var(--muted)"}),
      ],
    });
  },

  table: (ranking, _, {checkpoint}) => ({
    head: ["Class", "Taken for", "Times", "Of"],
    rows: rowsOf(lineOf(ranking, checkpoint)).map((row) => [row.true_class, row.predicted, row.count, row.of]),
  }),
};
