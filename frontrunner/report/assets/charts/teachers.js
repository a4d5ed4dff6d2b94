// How much each teacher counts.

import {barChart} from "./bars.js";
import {shortNames} from "./ranking.js";
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

  label(tuning) {
    const said = rowsOf(tuning).map(({checkpoint, weight}) => `${checkpoint} ${percent(weight)}`);
    return `Weights of teachers: ${said.join(", ")}`;
  },

  draw(tuning, {width}) {
    const rows = rowsOf(tuning);
    if (!rows.length) return null;
    const bars = rows.map(({checkpoint, name, weight}) => ({
      id: checkpoint,
      name,
      share: weight,
      said: percent(weight),
      colour: "var(--accent)",
    }));
    const most = Math.max(1, ...rows.map(({weight}) => weight));
    return barChart(bars, width, {className: "weight", label: "Weight", most});
  },

  table: (tuning) => ({
    head: ["Teacher", "Weight"],
    rows: rowsOf(tuning).map(({checkpoint, weight}) => [checkpoint, percent(weight)]),
  }),
};
