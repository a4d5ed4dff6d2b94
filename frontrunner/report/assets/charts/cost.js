// What a score costs: against parameters, latency or memory, with the front of those that nothing cheaper matches.

import {dot, line as path, pointer, text, tip} from "../plot.js";
import {NARROW, TIP, axes, drawn, fitted, key, together, widthOf} from "./frame.js";
import {colourOf, interval, linesOf, millions, minus, orderedBy, scoreOptions, shortNames, shown, tick, titleOf} from "./ranking.js";

const HEIGHT = 320;
/** Labels of the front stand apart by so many pixels at least. */
const APART = 16;
/** From here on dots lie above each other, and let each other shine through. */
const MANY = 100;

const costs = {
  parameters: {title: "Parameters", of: (line) => line.parameters, shown: millions},
  latency: {
    title: "Latency, ms an example",
    of: (line) => line.reading_cost?.latency_ms,
    shown: (value) => `${minus(value.toPrecision(3))} ms`,
  },
  memory: {
    title: "Memory, MB",
    of: (line) => line.reading_cost?.memory_mb,
    shown: (value) => `${Math.round(value)} MB`,
  },
};

const known = (ranking) =>
  Object.keys(costs).filter((name) => linesOf(ranking).some((line) => costs[name].of(line) > 0));

function rowsOf(ranking, score, cost) {
  const lines = linesOf(ranking);
  const names = shortNames(lines.map(({checkpoint}) => checkpoint));
  const rows = lines
    .map((line, index) => ({
      checkpoint: line.checkpoint,
      name: names[index],
      colour: colourOf(line, index),
      cost: costs[cost].of(line),
      ...interval(line, score),
    }))
    .filter((row) => row.value !== null && row.cost > 0);
  const front = new Set(frontOf(rows));
  return rows.map((row) => ({...row, front: front.has(row)}));
}

/**
 * The rows that no cheaper or equal one matches, the cheapest first.
 * @template {{cost: number, value: number}} Row
 * @param {Row[]} rows
 * @returns {Row[]}
 */
export function frontOf(rows) {
  const front = [];
  let best = -Infinity;
  for (const row of [...rows].sort((one, other) => one.cost - other.cost || other.value - one.value)) {
    if (row.value > best) {
      front.push(row);
      best = row.value;
    }
  }
  return front;
}

export const cost = {
  nothing: "No cost is known yet.",

  controls: (ranking) => [
    {
      name: "cost",
      label: "Cost",
      options: known(ranking).map((name) => ({value: name, title: costs[name].title})),
      value: known(ranking)[0],
    },
    {name: "score", label: "Score", options: scoreOptions(ranking), value: orderedBy(ranking)},
  ],

  label(ranking, _, {score, cost: name}) {
    const front = frontOf(rowsOf(ranking, score, name)).map(({checkpoint}) => checkpoint);
    return `${titleOf(score)} against ${costs[name].title.toLowerCase()}; the front is ${front.join(", ")}`;
  },

  draw(ranking, {width, score, cost: name}) {
    if (!name) return null;
    const rows = rowsOf(ranking, score, name);
    if (!rows.length) return null;
    const front = frontOf(rows.filter((row) => row.front));
    const names = labelled(front, rows, width);
    const ticks = logTicks(rows.map((row) => row.cost), Math.max(3, Math.floor(width / 70)));
    const svg = drawn({
      width,
      height: HEIGHT,
      marginLeft: 58,
      marginRight: 24,
      marginTop: 26,
      marginBottom: 44,
      x: {type: "log"},
      y: {nice: true},
      insetBottom: 14, // the name of what is lowest stands above the axis
      marks: [
        ...axes(
          {ticks, tickFormat: (value) => onAxis(name, value), label: costs[name].title},
          {ticks: 5, tickFormat: (value) => tick(score, value), label: titleOf(score)},
        ),
        path(front, {
          className: "front",
          x: "cost",
          y: "value",
          curve: "step-after",
          stroke: "var(--border-strong)",
          strokeDasharray: "4,3",
        }),
        dot(rows, {
          className: "value",
          x: "cost",
          y: "value",
          fill: "colour",
          fillOpacity: rows.length > MANY ? 0.6 : 1,
          r: (row) => (row.front ? 5.5 : 3.5),
          stroke: "var(--surface)",
        }),
        ...["end", "start"].map((textAnchor) =>
          text(names.filter((name) => name.textAnchor === textAnchor), {
            x: "cost",
            y: "value",
            text: "label",
            dx: textAnchor === "end" ? -8 : 8,
            dy: textAnchor === "end" ? -9 : 12,
            textAnchor,
            stroke: "var(--surface)",
            strokeWidth: 4,
            fill: "var(--text)",
          }),
        ),
        tip(rows, pointer({
          ...TIP,
          x: "cost",
          y: "value",
          title: (row) => said(row, score, name),
        })),
      ],
    });
    return together(svg, key([["var(--accent)", "first"], ["var(--c5)", "may be as good"], ["var(--other)", "worse"]]));
  },

  table(ranking, _, {score, cost: name}) {
    const rows = rowsOf(ranking, score, name).map((row) => [
      row.checkpoint, costs[name].shown(row.cost), shown(score, row.value), row.front ? "on the front" : "",
    ]);
    return {head: ["Checkpoint", costs[name].title, titleOf(score), "Front"], rows};
  },
};

/** Round values of a logarithmic axis, at most so many. */
function logTicks(values, most) {
  const [least, largest] = [Math.min(...values), Math.max(...values)];
  for (const steps of [[1, 2, 5], [1, 3], [1]]) {
    const found = [];
    for (let power = Math.floor(Math.log10(least)); power <= Math.log10(largest); power++) {
      for (const step of steps) found.push(step * 10 ** power);
    }
    const inside = found.filter((tick) => tick >= least && tick <= largest);
    if (inside.length <= most) return inside;
  }
  return [least, largest];
}

/** What a tip says. */
function said({checkpoint, value, cost, front}, score, name) {
  const lines = [checkpoint, `${titleOf(score)} ${shown(score, value)}`, costs[name].shown(cost)];
  return [...lines, ...(front ? ["on the front"] : [])].join("\n");
}

function onAxis(name, value) {
  if (name !== "parameters") return minus(+value.toPrecision(3));
  return value >= 1e9 ? `${+(value / 1e9).toPrecision(3)} B` : `${+(value / 1e6).toPrecision(3)} M`;
}

/** The best of the front have their names beside them, at the left where there is room, as many as stand clear. */
function labelled(front, rows, width) {
  const most = width < NARROW ? 120 : 220;
  const room = width - 82;
  const costs = rows.map((row) => Math.log(row.cost));
  const values = rows.map((row) => row.value);
  const scaled = (value, all, pixels) => ((value - Math.min(...all)) / (Math.max(...all) - Math.min(...all) || 1)) * pixels;
  const found = [];
  for (const row of [...front].reverse()) {
    const label = fitted(row.name, most);
    const [at, long] = [scaled(Math.log(row.cost), costs, room), widthOf(label)];
    const isLeft = at >= long;
    const place = {
      begins: isLeft ? at - long : at,
      ends: isLeft ? at : at + long,
      y: (isLeft ? 0 : 21) - scaled(row.value, values, HEIGHT - 70),
    };
    const clear = found.every((other) => Math.abs(other.y - place.y) >= APART || other.begins > place.ends || other.ends < place.begins);
    if (clear && place.ends <= room + 20) found.push({...row, ...place, label, textAnchor: isLeft ? "end" : "start"});
  }
  return found;
}
