// Whether scores agree on the order: Spearman's rank correlation of each two, over the checkpoints that have both.

import {heatMap} from "./heat.js";
import {linesOf, minus, scoresOf, titleOf} from "./ranking.js";

/** Fewer checkpoints say nothing of an order. */
const FEWEST = 3;

/**
 * Spearman's rank correlation; ties share their mean rank.
 * @param {number[]} one
 * @param {number[]} other of the same length
 * @returns {number?} -1 to 1; null where one of them is constant
 */
export function spearman(one, other) {
  const [x, y] = [ranksOf(one), ranksOf(other)];
  const middle = (one.length - 1) / 2;
  let [xy, xx, yy] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    xy += (x[i] - middle) * (y[i] - middle);
    xx += (x[i] - middle) ** 2;
    yy += (y[i] - middle) ** 2;
  }
  return xx && yy ? xy / Math.sqrt(xx * yy) : null;
}

function ranksOf(values) {
  const order = values.map((_, index) => index).sort((one, other) => values[one] - values[other]);
  const ranks = new Array(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from;
    while (to + 1 < order.length && values[order[to + 1]] === values[order[from]]) to++;
    for (let place = from; place <= to; place++) ranks[order[place]] = (from + to) / 2;
    from = to + 1;
  }
  return ranks;
}

/** Of each ranking once: drawing, label and table share them. */
const known = new WeakMap();

function correlations(ranking) {
  if (!known.has(ranking)) known.set(ranking, computed(ranking));
  return known.get(ranking);
}

function computed(ranking) {
  const names = scoresOf(ranking);
  const lines = linesOf(ranking);
  const between = (one, other) => {
    const both = lines.filter(({scores}) => Number.isFinite(scores?.[one]?.value) && Number.isFinite(scores?.[other]?.value));
    if (both.length < FEWEST) return null;
    return spearman(both.map(({scores}) => scores[one].value), both.map(({scores}) => scores[other].value));
  };
  const table = names.map(() => []);
  names.forEach((one, row) => {
    for (let column = 0; column <= row; column++) table[row][column] = table[column][row] = between(one, names[column]);
  });
  return {names, titles: names.map(titleOf), table};
}

export const agreement = {
  nothing: "Agreement is shown from three checkpoints and two scores on.",

  label(ranking) {
    const {titles, table} = correlations(ranking);
    const others = titles.slice(1).map((title, index) => {
      const value = table[0][index + 1];
      return `${title} ${value === null ? "not known" : minus(value.toFixed(2))}`;
    });
    return `Spearman's rank correlation with ${titles[0]}: ${others.join(", ")}`;
  },

  draw(ranking, {width}) {
    const {titles, table} = correlations(ranking);
    if (titles.length < 2 || linesOf(ranking).length < FEWEST) return null;
    return heatMap(
      {
        rows: titles,
        columns: titles,
        value: (row, column) => table[row][column],
        strength: (value) => 0.9 * value,
        shown: (value) => minus(value.toFixed(2)),
        said: (row, column) => `${titles[row]} and ${titles[column]}\nrank correlation ${minus(table[row][column].toFixed(3))}`,
        columnLabel: "Spearman's rank correlation",
      },
      width,
    );
  },

  table(ranking) {
    const {titles, table} = correlations(ranking);
    const rows = titles.map((title, row) => [title, ...table[row].map((value) => (value === null ? null : minus(value.toFixed(2))))]);
    return {head: ["Score", ...titles], rows};
  },
};
