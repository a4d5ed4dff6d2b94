// The classes that a linear probe on the features confuses most: of the examples of one, the share taken for another.

import {barChart} from "./bars.js";
import {choice, lineOf} from "./features.js";
import {linesOf} from "./ranking.js";

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

  label(ranking, _, {checkpoint}) {
    const {true_class, predicted, count, of} = rowsOf(lineOf(ranking, checkpoint))[0];
    return `Classes that a linear probe on ${checkpoint} confuses; most often ${true_class} is taken for ${predicted}, ${count} of ${of} times`;
  },

  draw(ranking, {width, checkpoint}) {
    const rows = rowsOf(lineOf(ranking, checkpoint));
    if (!rows.length) return null;
    const bars = rows.map(({name, share, count, of}) => ({
      id: name,
      name,
      share,
      said: `${count} of ${of}`,
      colour: "var(--c1)",
    }));
    const most = Math.max(...rows.map(({share}) => share), 0.05);
    return barChart(bars, width, {className: "confusion", label: "Of the examples of the first class", most});
  },

  table: (ranking, _, {checkpoint}) => ({
    head: ["Class", "Taken for", "Times", "Of"],
    rows: rowsOf(lineOf(ranking, checkpoint)).map((row) => [row.true_class, row.predicted, row.count, row.of]),
  }),
};
