// How likely each checkpoint is the best one: the ten likeliest, and the others together.

import {barChart} from "./bars.js";
import {linesOf, shortNames} from "./ranking.js";

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

/** As `chance` in ranking_table.py. */
function percent(share) {
  if (share > 0 && share < 0.01) return "<1%";
  return share > 0.99 && share < 1 ? ">99%" : `${Math.round(100 * share)}%`;
}

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
    const bars = first.map(({checkpoint, name, share}) => ({
      id: checkpoint,
      name,
      share,
      said: percent(share),
      colour: "var(--accent)",
    }));
    const rest = rows.slice(first.length);
    if (rest.length) {
      const share = rest.reduce((sum, row) => sum + row.share, 0);
      const name = `the other ${rest.length}`;
      bars.push({id: name, name, share, said: percent(share), colour: "var(--other)"});
    }
    return barChart(bars, width, {className: "chance", label: "Probability of being the best"});
  },

  table: (ranking) => ({
    head: ["Checkpoint", "Probability of being the best"],
    rows: rowsOf(ranking).map(({checkpoint, share}) => [checkpoint, percent(share)]),
  }),
};
