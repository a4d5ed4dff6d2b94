// Distances between tasks as a heat map, and the tree that they make, in the tree's order. The tree comes from the server.

import {axisX, link} from "../plot.js";
import {NARROW, drawn} from "./frame.js";
import {ABOVE, BELOW, CELL, heatMap} from "./heat.js";
import {minus} from "./ranking.js";

const tasksOf = ({tasks}) => tasks.map(({name}) => name);
const matrixOf = (data) => data.matrix ?? data;

export const distances = {
  nothing: "The distances are not known yet.",

  label(data) {
    const {tasks, distance} = matrixOf(data);
    let [least, pair] = [Infinity, ["", ""]];
    distance.forEach((row, from) =>
      row.forEach((value, to) => {
        if (from !== to && value < least) [least, pair] = [value, [tasks[from].name, tasks[to].name]];
      }),
    );
    return `Distances between ${tasks.length} tasks; the least is from ${pair[0]} to ${pair[1]}`;
  },

  draw(data, {width}) {
    const {distance, ...rest} = matrixOf(data);
    if (!distance?.length) return null;
    const order = data.tree?.order ?? distance.map((_, index) => index);
    const names = order.map((index) => tasksOf(rest)[index]);
    const largest = Math.max(...distance.flat()) || 1;
    const value = (row, column) => distance[order[row]][order[column]];
    const tree = data.tree?.links.length && width >= NARROW ? Math.min(140, 0.2 * width) : 0;
    const map = heatMap(
      {
        rows: names,
        columns: names,
        value,
        strength: (distance) => 1 - distance / largest, // near tasks stand out
        shown: (distance) => short(distance),
        said: (row, column) => `from ${names[row]} to ${names[column]}\n${minus(value(row, column).toPrecision(4))} left to learn`,
        columnLabel: "from a row to a column",
      },
      width - tree,
    );
    const element = document.createElement("div");
    element.className = "chart-pair";
    if (tree) element.append(treeOf(data.tree.links, names.length, tree));
    element.append(map);
    return element;
  },

  table(data) {
    const {distance, ...rest} = matrixOf(data);
    const names = tasksOf(rest);
    const rows = distance.map((row, index) => [names[index], ...row.map((value) => minus(value.toPrecision(4)))]);
    return {head: ["From", ...names], rows};
  },
};

const short = (value) => (value === 0 ? "0" : minus(Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(2)));

function treeOf(links, leaves, width) {
  return drawn({
    width,
    height: ABOVE + CELL * leaves + BELOW,
    marginLeft: 10,
    marginRight: 2,
    marginTop: ABOVE,
    marginBottom: BELOW,
    x: {reverse: true},
    y: {axis: null, domain: [0, leaves]},
    marks: [
      axisX({ticks: 2, tickSize: 3, label: null, tickFormat: short}),
      link(links, {className: "tree", x1: "0", y1: "1", x2: "2", y2: "3", stroke: "var(--muted)", strokeWidth: 1.5}),
    ],
  });
}
