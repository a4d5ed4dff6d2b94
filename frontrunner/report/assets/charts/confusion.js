// The confusion matrix: rows are the true classes, columns what they were taken for; shares of a row.

import {heatMap} from "./heat.js";
import {metricsOf, percent} from "./tuning.js";

/** Of more classes than this, those with the most mistakes are drawn: as layout.py counts. */
const LARGEST = 32;

function shownOf({classes, confusion}) {
  const mistakes = confusion.map((row, index) => ({
    index,
    wrong: row.reduce((sum, count, column) => sum + (column === index ? 0 : count + confusion[column][index]), 0),
  }));
  const order = classes.length <= LARGEST ? mistakes : mistakes.sort((one, other) => other.wrong - one.wrong).slice(0, LARGEST);
  const kept = order.map(({index}) => index).sort((one, other) => one - other);
  const totals = confusion.map((row) => row.reduce((sum, count) => sum + count, 0));
  return {kept, totals, names: kept.map((index) => classes[index])};
}

export const confusion = {
  nothing: "The confusion matrix comes with the result.",

  label(tuning) {
    const {accuracy, examples} = metricsOf(tuning);
    return `Confusion matrix of ${examples} examples, of which ${percent(accuracy.value)} are right`;
  },

  draw(tuning, {width}) {
    const metrics = metricsOf(tuning);
    if (!metrics?.confusion?.length) return null;
    const {kept, totals, names} = shownOf(metrics);
    const count = (row, column) => metrics.confusion[kept[row]][kept[column]];
    return heatMap(
      {
        rows: names,
        columns: names,
        value: (row, column) => count(row, column) / (totals[kept[row]] || 1),
        // The hue tells right from wrong.
        strength: (share) => share,
        shown: (share) => (share ? percent(share, 0) : ""),
        said: (row, column) => `${names[row]}, taken for ${names[column]}\n${count(row, column)} of ${totals[kept[row]]}`,
        columnLabel:
          names.length < metrics.classes.length
            ? `taken for; the ${names.length} of ${metrics.classes.length} classes with the most mistakes`
            : "taken for; shares of a row",
      },
      width,
    );
  },

  table(tuning) {
    const metrics = metricsOf(tuning);
    const {kept, names} = shownOf(metrics);
    const rows = kept.map((row, index) => [names[index], ...kept.map((column) => metrics.confusion[row][column])]);
    return {head: ["True class", ...names], rows};
  },
};
