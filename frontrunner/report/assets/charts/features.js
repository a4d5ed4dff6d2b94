// The cloud of features in its two leading directions, coloured by class: where a checkpoint mixes classes up.

import {dot, pointer, tip} from "../plot.js";
import {TIP, drawn, key, together} from "./frame.js";
import {linesOf, minus} from "./ranking.js";

/** Classes that have a colour of their own; the others share one. Of several labels or targets each, no point has one. */
const COLOURS = 10;

const pictured = (ranking) => linesOf(ranking).filter(({picture}) => picture?.points?.length);

export const lineOf = (ranking, checkpoint) =>
  linesOf(ranking).find((line) => line.checkpoint === checkpoint) ?? pictured(ranking)[0];

/** What a reader may choose between: the lines that have a picture. */
export const choice = (lines) => [
  {
    name: "checkpoint",
    label: "Checkpoint",
    options: lines.map(({checkpoint}) => ({value: checkpoint, title: checkpoint})),
    value: lines[0]?.checkpoint,
  },
];

/**
 * The classes that are coloured: those that are confused most, then the others as they come.
 * @returns {Map<number, string>} colour by class
 */
function coloursOf({classes, confused}) {
  const order = [...(confused ?? []).flatMap((pair) => [pair.true_class, pair.predicted]), ...classes];
  const codes = order.map((name) => classes.indexOf(name)).filter((code) => code >= 0);
  const shown = [...new Set(codes)].slice(0, COLOURS);
  return new Map(shown.sort((one, other) => one - other).map((code, index) => [code, `var(--c${index})`]));
}

export const features = {
  nothing: "No picture of the features is kept for these checkpoints.",

  controls: (ranking) => choice(pictured(ranking)),

  label(ranking, _, {checkpoint}) {
    const line = lineOf(ranking, checkpoint);
    const {points, classes, targets} = line.picture;
    const coloured = classes ? ", coloured by class" : targets ? ", coloured by target" : "";
    return `The features of ${points.length} examples by ${line.checkpoint} in two dimensions${coloured}`;
  },

  draw(ranking, {width, checkpoint}) {
    const line = lineOf(ranking, checkpoint);
    if (!line?.picture) return null;
    const {points, labels, targets, classes, explained} = line.picture;
    const colours = classes ? coloursOf(line.picture) : null;
    const [least, most] = targets ? [Math.min(...targets), Math.max(...targets)] : [0, 1];
    const rows = points.map(([x, y], index) => {
      if (targets) {
        const share = Math.round((100 * (targets[index] - least)) / (most - least || 1));
        return {x, y, said: minus(targets[index]), colour: `color-mix(in oklab, var(--c1) ${share}%, var(--c0))`};
      }
      if (!colours) return {x, y, said: "", colour: "var(--accent)"};
      return {x, y, said: classes[labels[index]], colour: colours.get(labels[index]) ?? "var(--other)"};
    });
    const along = (share) => (share === undefined ? "" : `, ${Math.round(100 * share)}% of the variance`);
    const svg = drawn({
      width,
      height: 320,
      margin: 12,
      marginBottom: 30,
      marginTop: 24,
      x: {ticks: [], label: `1st principal component${along(explained?.[0])}`, labelArrow: "none"},
      y: {ticks: [], label: `2nd${along(explained?.[1])}`, labelArrow: "none"},
      color: {type: "identity"},
      marks: [
        dot(rows, {className: "value", x: "x", y: "y", fill: "colour", r: 3, fillOpacity: 0.85}),
        (colours || targets) && tip(rows, pointer({...TIP, x: "x", y: "y", title: "said"})),
      ],
    });
    if (!colours && !targets) return svg;
    if (!colours) return together(svg, key([["var(--c0)", minus(+least.toPrecision(3))], ["var(--c1)", minus(+most.toPrecision(3))]]));
    const others = classes.length - colours.size;
    return together(
      svg,
      key([
        ...[...colours].map(([code, colour]) => [colour, classes[code]]),
        ...(others > 0 ? [["var(--other)", `${others} more`]] : []),
      ]),
    );
  },

  table(ranking, _, {checkpoint}) {
    const {points, labels, targets, classes} = lineOf(ranking, checkpoint).picture;
    const [head, said] = classes
      ? ["Class", (index) => classes[labels[index]]]
      : targets
        ? ["Target", (index) => targets[index]]
        : ["Example", (index) => index + 1];
    const rows = points.map(([x, y], index) => [said(index), minus(x), minus(y)]);
    return {head: [head, "1st component", "2nd component"], rows};
  },
};
