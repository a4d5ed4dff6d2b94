// How likely each checkpoint is the best one: the ten likeliest, and the others together.

import {axisX, barX, gridX, text} from "../plot.js";
import {NARROW, drawn, fitted, roomFor} from "./frame.js";
import {linesOf, shortNames} from "./ranking.js";
import {AXIS, NARROW_ROW, ROW} from "./scores.js";

/** As layout.py counts. */
const SHOWN = 10;

function rowsOf(ranking) {
  const known = linesOf(ranking).filter((line) => Number.isFinite(line.probability_best));
  const names = shortNames(known.map(({checkpoint}) => checkpoint));
  const rows = known.map((line, index) => ({
    checkpoint: line.checkpoint,
    name: names[index],
    share: line.probability_best,
  }));
  return rows.sort((one, other) => other.share - one.share);
}

const percent = (share) => (share > 0 && share < 0.005 ? "<1%" : `${Math.round(100 * share)}%`);

export const chances = {
  nothing: "How likely each is the best is not known yet.",

  label(ranking) {
    const said = rowsOf(ranking).slice(0, 3).map(({checkpoint, share}) => `${checkpoint} ${percent(share)}`);
    return `Probability of being the best: ${said.join(", ")}`;
  },

  draw(ranking, {width}) {
    const rows = rowsOf(ranking);
    if (!rows.length) return null;
    const first = rows.length > SHOWN + 1 ? rows.slice(0, SHOWN) : rows;
    const rest = rows.slice(first.length);
    if (rest.length) {
      const share = rest.reduce((sum, row) => sum + row.share, 0);
      first.push({checkpoint: " ", name: `the other ${rest.length}`, share, others: true});
    }
    const narrow = width < NARROW;
    const room = narrow ? width - 16 : roomFor(first.map(({name}) => name), width);
    return drawn({
      width,
      height: AXIS + (narrow ? NARROW_ROW : ROW) * first.length,
      marginLeft: narrow ? 8 : room + 14,
      marginRight: 44,
      marginTop: 4,
      marginBottom: AXIS - 4,
      x: {domain: [0, 1]},
      y: {axis: null, domain: first.map(({checkpoint}) => checkpoint), padding: narrow ? 0.66 : 0.35},
      marks: [
        gridX({ticks: 4, stroke: "var(--border)", strokeOpacity: 1}),
        axisX({ticks: 4, tickSize: 0, tickFormat: (share) => `${Math.round(100 * share)}%`, label: "Probability of being the best", labelArrow: "none"}),
        barX(first, {
          className: "chance",
          x: "share",
          y: "checkpoint",
          dy: narrow ? 8 : 0,
          fill: (row) => (row.others ? "var(--other)" : "var(--accent)"),
          rx: 2,
        }),
        text(first, {
          y: "checkpoint",
          text: ({name}) => fitted(name, room),
          frameAnchor: "left",
          textAnchor: narrow ? "start" : "end",
          dx: narrow ? 0 : -12,
          dy: narrow ? -10 : 0,
        }),
        text(first, {x: "share", y: "checkpoint", text: ({share}) => percent(share), textAnchor: "start", dx: 6, dy: narrow ? 8 : 0, fill: "var(--muted)"}),
      ],
    });
  },

  table: (ranking) => ({
    head: ["Checkpoint", "Probability of being the best"],
    rows: rowsOf(ranking).map(({checkpoint, share}) => [checkpoint, percent(share)]),
  }),
};
