// Whether a model is as often right as it says: accuracy by confidence, in bins.

import {dot, line as path, link, pointerX, tip} from "../plot.js";
import {TIP, axes, drawn, key, together} from "./frame.js";
import {metricsOf, percent} from "./tuning.js";

const rowsOf = (tuning) => (metricsOf(tuning)?.reliability ?? []).filter(({examples}) => examples > 0);

export const reliability = {
  nothing: "The reliability diagram comes with the result.",

  label: (tuning) =>
    `Accuracy by confidence in ${rowsOf(tuning).length} bins; the calibration error is ${percent(metricsOf(tuning).calibration_error)}`,

  draw(tuning, {width}) {
    const rows = rowsOf(tuning);
    if (!rows.length) return null;
    const largest = Math.max(...rows.map(({examples}) => examples));
    const shares = {ticks: 5, tickFormat: (share) => percent(share, 0)};
    const svg = drawn({
      width,
      height: 320,
      marginLeft: 52,
      marginRight: 20,
      marginTop: 26,
      marginBottom: 42,
      x: {domain: [0, 1]},
      y: {domain: [0, 1]},
      marks: [
        ...axes({...shares, label: "Confidence"}, {...shares, label: "Accuracy"}),
        path([[0, 0], [1, 1]], {stroke: "var(--border-strong)", strokeDasharray: "4,3"}),
        link(rows, {x: "confidence", y1: "confidence", y2: "accuracy", stroke: "var(--c1)", strokeWidth: 2}),
        dot(rows, {
          className: "bin", x: "confidence", y: "accuracy", fill: "var(--accent)", stroke: "var(--surface)",
          r: ({examples}) => 3 + 6 * Math.sqrt(examples / largest),
        }),
        tip(rows, pointerX({
          ...TIP,
          x: "confidence",
          y: "accuracy",
          title: (row) => `${row.examples} examples\nconfidence ${percent(row.confidence)}\nright ${percent(row.accuracy)}`,
        })),
      ],
    });
    return together(
      svg,
      key([
        ["var(--accent)", "a bin, larger with more examples"],
        ["var(--c1)", "its miscalibration"],
        ["var(--border-strong)", "perfectly calibrated"],
      ]),
    );
  },

  table: (tuning) => ({
    head: ["Confidence", "Accuracy", "Examples"],
    rows: rowsOf(tuning).map((row) => [percent(row.confidence), percent(row.accuracy), row.examples]),
  }),
};
