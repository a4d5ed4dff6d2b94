// LogME against the discrepancy: how well a head fits, and how far it has to go from its start.

import {dot, pointer, tip} from "../plot.js";
import {TIP, axes, drawn} from "./frame.js";
import {colourOf, linesOf, minus, shown} from "./ranking.js";

function rowsOf(ranking) {
  return linesOf(ranking)
    .map((line, index) => ({
      checkpoint: line.checkpoint,
      colour: colourOf(line, index),
      logme: line.scores?.logme?.value,
      distance: line.scores?.discrepancy?.raw ?? line.discrepancy?.dimension_dependent_per_parameter ?? negated(line),
    }))
    .filter(({logme, distance}) => Number.isFinite(logme) && Number.isFinite(distance));
}

const negated = (line) => (line.scores?.discrepancy ? -line.scores.discrepancy.value : undefined);

export const discrepancy = {
  nothing: "It needs LogME and the discrepancy.",

  label: (ranking) => `LogME against the discrepancy of ${rowsOf(ranking).length} checkpoints; the table has the numbers`,

  draw(ranking, {width}) {
    const rows = rowsOf(ranking);
    if (!rows.length) return null;
    const ticks = Math.max(2, Math.floor(width / 110));
    const tickFormat = (value) => minus(+value.toPrecision(5));
    return drawn({
      width,
      height: 320,
      marginLeft: 58,
      marginRight: 20,
      marginTop: 26,
      marginBottom: 44,
      x: {nice: true},
      y: {nice: true},
      marks: [
        ...axes(
          {ticks, tickFormat, label: "Discrepancy per parameter, less is nearer"},
          {ticks: 5, tickFormat, label: "LogME"},
        ),
        dot(rows, {className: "value", x: "distance", y: "logme", fill: "colour", r: rows.length > 200 ? 3 : 5, stroke: "var(--surface)"}),
        tip(rows, pointer({
          ...TIP,
          x: "distance",
          y: "logme",
          title: (row) => `${row.checkpoint}\nLogME ${shown("logme", row.logme)}\ndiscrepancy ${shown("discrepancy", row.distance)}`,
        })),
      ],
    });
  },

  table: (ranking) => ({
    head: ["Checkpoint", "LogME", "Discrepancy per parameter"],
    rows: rowsOf(ranking).map((row) => [row.checkpoint, shown("logme", row.logme), shown("discrepancy", row.distance)]),
  }),
};
