// Two rankings of the same checkpoints: a line from the place in one to the place in the other.

import {dot, link, pointerY, text, tip} from "../plot.js";
import {ROW} from "./bars.js";
import {NARROW, TIP, drawn, fitted, roomFor} from "./frame.js";
import {linesOf, shortNames} from "./ranking.js";
import {DRAWN} from "./scores.js";

/** Checkpoints of both, by the better of their places among these. */
function rowsOf(one, other) {
  const places = new Map(linesOf(other).map(({checkpoint, rank}) => [checkpoint, rank]));
  const both = linesOf(one).filter(({checkpoint}) => places.has(checkpoint));
  const names = shortNames(both.map(({checkpoint}) => checkpoint));
  const rows = both.map(({checkpoint, rank}, index) => ({checkpoint, name: names[index], from: rank, to: places.get(checkpoint)}));
  // Places among those in both, so that one that only one of them has leaves no gap.
  for (const side of ["from", "to"]) {
    [...rows].sort((a, b) => a[side] - b[side]).forEach((row, index) => (row[`${side}Place`] = index + 1));
  }
  return rows.filter(({fromPlace, toPlace}) => Math.min(fromPlace, toPlace) <= DRAWN);
}

export const compare = {
  nothing: "The two have no checkpoint in common.",

  label(one, other) {
    const rows = rowsOf(one, other);
    const same = rows.filter(({fromPlace, toPlace}) => fromPlace === toPlace).length;
    return `Places of ${rows.length} checkpoints in both rankings; ${same} have the same place in both`;
  },

  draw(one, {width, other}) {
    if (!other) return null;
    const rows = rowsOf(one, other);
    if (!rows.length) return null;
    const places = Math.max(...rows.flatMap(({fromPlace, toPlace}) => [fromPlace, toPlace]));
    const share = width < NARROW ? 0.36 : 0.4;
    const titles = [one, other].map(({dataset}) => dataset?.name ?? "");
    const room = roomFor([...rows.map(({name}) => name), ...titles], width, share);
    const colour = ({fromPlace, toPlace}) =>
      toPlace < fromPlace ? "var(--c2)" : toPlace > fromPlace ? "var(--c1)" : "var(--other)";
    const names = (side, x, anchor, dx) =>
      text(rows, {x: () => x, y: `${side}Place`, text: (row) => fitted(row.name, room), textAnchor: anchor, dx});
    const title = (name, x, textAnchor, dx) =>
      text([fitted(name, room)], {x: () => x, frameAnchor: "top", dy: -24, dx, textAnchor, fontWeight: 700});
    return drawn({
      width,
      height: 40 + ROW * places,
      marginLeft: room + 16,
      marginRight: room + 16,
      marginTop: 28,
      marginBottom: 12,
      x: {axis: null, domain: [0, 1]},
      y: {axis: null, domain: [0.5, places + 0.5], reverse: true},
      marks: [
        title(titles[0], 0, "end", -10),
        title(titles[1], 1, "start", 10),
        link(rows, {
          className: "move",
          x1: 0,
          x2: 1,
          y1: "fromPlace",
          y2: "toPlace",
          stroke: colour,
          strokeWidth: 2,
          curve: "bump-x",
        }),
        dot(rows, {x: 0, y: "fromPlace", fill: colour, r: 4}),
        dot(rows, {x: 1, y: "toPlace", fill: colour, r: 4}),
        names("from", 0, "end", -10),
        names("to", 1, "start", 10),
        tip(rows, pointerY({
          ...TIP,
          x: () => 0.5,
          y: ({fromPlace, toPlace}) => (fromPlace + toPlace) / 2,
          title: ({checkpoint, from, to}) => `${checkpoint}\nrank ${from}, then ${to}`,
        })),
      ],
    });
  },

  table: (one, other) => ({
    head: ["Checkpoint", "Rank in the first", "Rank in the second"],
    rows: rowsOf(one, other).map(({checkpoint, from, to}) => [checkpoint, from, to]),
  }),
};
