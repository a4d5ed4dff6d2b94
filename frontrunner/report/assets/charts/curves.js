// Curves of training: accuracy or loss by epoch, of the training and the validation split.

import {dot, line as path, pointerX, ruleX, tip} from "../plot.js";
import {TIP, axes, drawn, key, together} from "./frame.js";
import {minus} from "./ranking.js";
import {curveOf, percent} from "./tuning.js";

const COLOURS = {train: "var(--c1)", validation: "var(--accent)"};
/** With more points than this, dots would hide the line. */
const DOTTED = 60;

const stagesOf = (tuning) => [...new Set(["training", ...curveOf(tuning).map(({stage}) => stage)])];

function rowsOf(tuning, stage, measure) {
  return curveOf(tuning)
    .filter((point) => point.stage === stage)
    .map((point) => ({
      ...point,
      colour: COLOURS[point.split],
      value: measure === "accuracy" ? point.accuracy : lossOf(point),
    }))
    .filter(({value}) => Number.isFinite(value));
}

/** The task's part: the training loss has others besides, which the validation loss has not. */
const lossOf = ({loss}) => loss.task ?? Object.values(loss).reduce((sum, part) => sum + part, 0);

const shown = (measure, value) => (measure === "accuracy" ? percent(value) : minus(value.toPrecision(3)));

export const curves = {
  nothing: "Nothing is trained yet.",

  controls: (tuning) => [
    {
      name: "measure",
      label: "Show",
      options: [{value: "accuracy", title: "Accuracy"}, {value: "loss", title: "Loss"}],
      value: "accuracy",
    },
    {
      name: "stage",
      label: "Of",
      options: stagesOf(tuning).map((stage) => ({value: stage, title: stage})),
      value: "training",
    },
  ],

  label(tuning, _, {stage, measure}) {
    const last = rowsOf(tuning, stage, measure).at(-1);
    const title = measure === "accuracy" ? "Accuracy" : "Loss";
    return `${title} by epoch of the ${stage}; after epoch ${last.epoch} it is ${shown(measure, last.value)} on the ${last.split} split`;
  },

  draw(tuning, {width, measure, stage}) {
    const rows = rowsOf(tuning, stage, measure);
    if (!rows.length) return null;
    const best = stage === "training" ? tuning.output?.best_epoch : null;
    const epochs = Math.max(...rows.map(({epoch}) => epoch), 1);
    const svg = drawn({
      width,
      height: 300,
      marginLeft: 56,
      marginRight: 20,
      marginTop: 26,
      marginBottom: 42,
      x: {domain: [Math.min(...rows.map(({epoch}) => epoch), 1), epochs]},
      y: {nice: true},
      color: {type: "identity"},
      marks: [
        ...axes(
          {
            ticks: Math.min(epochs, Math.floor(width / 60)),
            tickFormat: (epoch) => (Number.isInteger(epoch) ? `${epoch}` : ""),
            label: "Epoch",
          },
          {
            ticks: 5,
            tickFormat: (value) => shown(measure, value),
            label: measure === "accuracy" ? "Accuracy" : "Loss",
          },
        ),
        best && ruleX([best], {stroke: "var(--border-strong)", strokeDasharray: "4,3"}),
        path(rows, {className: "curve", x: "epoch", y: "value", z: "split", stroke: "colour", strokeWidth: 2}),
        rows.length <= DOTTED && dot(rows, {x: "epoch", y: "value", fill: "colour", r: 3}),
        tip(rows, pointerX({
          ...TIP,
          x: "epoch",
          y: "value",
          title: ({epoch, split, value, learning_rate: rate}) =>
            `epoch ${epoch}, ${split}\n${measure} ${shown(measure, value)}\nlearning rate ${rate?.toPrecision(2)}`,
        })),
      ],
    });
    const splits = [...new Set(rows.map(({split}) => split))].map((split) => [COLOURS[split], split]);
    return together(svg, key([...splits, ...(best ? [["var(--border-strong)", `kept: epoch ${best}`]] : [])]));
  },

  table: (tuning, _, {stage}) => ({
    head: ["Epoch", "Split", "Accuracy", "Loss", "Learning rate"],
    rows: rowsOf(tuning, stage, "loss").map((row) => [
      row.epoch, row.split, percent(row.accuracy), row.value.toPrecision(4), row.learning_rate?.toPrecision(3),
    ]),
  }),
};
