// Past results: a row a checkpoint, a column a dataset; colours compare within a dataset.

import {heatMap} from "./heat.js";
import {shortNames} from "./ranking.js";
import {percent} from "./tuning.js";

export const results = {
  nothing: "There are no results yet.",

  label: ({models, datasets}) => `Accuracy of ${models.length} checkpoints on ${datasets.length} datasets; the table has the numbers`,

  draw({models, datasets, accuracy}, {width}) {
    if (!models.length) return null;
    const names = shortNames(models);
    const columns = datasets.map((_, column) => accuracy.map((row) => row[column]).filter(Number.isFinite));
    const ends = columns.map((values) => [Math.min(...values), Math.max(...values)]);
    // Of one dataset, from the worst, which keeps some colour, to the best.
    const strength = (row, column) => {
      const [least, most] = ends[column];
      return most > least ? 0.1 + (0.9 * (accuracy[row][column] - least)) / (most - least) : 1;
    };
    return heatMap(
      {
        rows: names,
        columns: datasets,
        value: (row, column) => accuracy[row][column],
        strength: (_, row, column) => strength(row, column),
        shown: (value) => (100 * value).toFixed(0),
        said: (row, column) => `${models[row]}\n${datasets[column]}: ${percent(accuracy[row][column])}`,
        columnLabel: "accuracy, %",
      },
      width,
    );
  },

  table: ({models, datasets, accuracy}) => ({
    head: ["Checkpoint", ...datasets],
    rows: models.map((model, row) => [model, ...accuracy[row].map((value) => (value === null ? null : percent(value)))]),
  }),
};
