// Who leads: a line for each checkpoint, its score with the interval; beyond the first thirty, one curve over the ranks.

import {areaY, dot, line as curve, link, pointerX, ruleX, text, tip} from "../plot.js";
import {AXIS, named} from "./bars.js";
import {TIP, drawn, key, together} from "./frame.js";
import {
  colourOf,
  interval,
  linesOf,
  mayEqualFirst,
  orderedBy,
  scoreOptions,
  shortNames,
  shown,
  tick,
  titleOf,
} from "./ranking.js";

/** As layout.py counts. */
const CURVE = 180;
export const DRAWN = 30;

function rowsOf(ranking, score) {
  const lines = linesOf(ranking);
  const names = shortNames(lines.map((line) => line.checkpoint));
  return lines
    .map((line, index) => ({
      line,
      rank: line.rank ?? index + 1,
      name: names[index],
      id: line.checkpoint,
      colour: colourOf(line, index),
      ...interval(line, score),
    }))
    .filter(({value}) => value !== null);
}

export const scores = {
  controls: (ranking) => [
    {name: "score", label: "Score", options: scoreOptions(ranking), value: orderedBy(ranking)},
  ],

  label(ranking, _, {score}) {
    const rows = rowsOf(ranking, score);
    const best = rows[0];
    return `${titleOf(score)} of ${rows.length} checkpoints; the first of the ranking, ${best.id}, has ${shown(score, best.value)}`;
  },

  draw(ranking, {width, score}) {
    const rows = rowsOf(ranking, score);
    if (!rows.length) return null;
    const first = rows.slice(0, DRAWN);
    const equal = first.some(({line}) => mayEqualFirst(line));
    return together(
      bars(first, score, width),
      rows.length > DRAWN && ranks(rows, score, width),
      equal && key([["var(--accent)", "first"], ["var(--c5)", "may be as good as the first"], ["var(--other)", "worse"]]),
    );
  },

  table(ranking, _, {score}) {
    const rows = rowsOf(ranking, score).map(({rank, id, low, value, high}) => [
      id,
      rank,
      shown(score, value),
      shown(score, low),
      shown(score, high),
    ]);
    return {head: ["Checkpoint", "Rank", titleOf(score), "Low", "High"], rows};
  },
};

function bars(rows, score, width) {
  return named(rows, width, {
    x: {domain: extent(rows), nice: true},
    label: titleOf(score),
    ticks: Math.max(2, Math.floor(width / 130)),
    tickFormat: (value) => tick(score, value),
    value: "value",
    said: (row) => said(row, score),
    marks: (below) => [
      link(rows.filter(({low, high}) => low !== null && high !== null), {
        className: "interval",
        x1: "low",
        x2: "high",
        y: "id",
        dy: below,
        stroke: "colour",
        strokeWidth: 7,
        strokeOpacity: 0.4,
        strokeLinecap: "round",
      }),
      dot(rows, {className: "value", x: "value", y: "id", dy: below, fill: "colour", r: 4.5}),
      text(rows, {
        x: (row) => row.high ?? row.value,
        y: "id",
        text: (row) => shown(score, row.value),
        textAnchor: "start",
        dx: 10,
        dy: below,
        fill: "var(--muted)",
      }),
    ],
  });
}

/** What a tip says of a line. */
function said({rank, id, low, value, high}, score) {
  const reach = low === null || high === null ? "" : `, ${shown(score, low)} to ${shown(score, high)}`;
  return `${rank}. ${id}\n${titleOf(score)} ${shown(score, value)}${reach}`;
}

function extent(rows) {
  const ends = rows.flatMap(({low, value, high}) => [low ?? value, high ?? value]).filter(Number.isFinite);
  const [least, most] = [Math.min(...ends), Math.max(...ends)];
  const spare = (most - least || Math.abs(most) || 1) * 0.04;
  return [least - spare, most + spare];
}

function ranks(rows, score, width) {
  return drawn({
    width,
    height: CURVE,
    marginLeft: 60,
    marginRight: 16,
    marginBottom: AXIS - 6,
    marginTop: 24,
    x: {label: `all ${rows.length}, by rank`, labelArrow: "none"},
    y: {label: titleOf(score), tickFormat: (value) => tick(score, value), grid: true, ticks: 4, labelArrow: "none"},
    marks: [
      areaY(rows, {
        x: "rank",
        y1: (row) => row.low ?? row.value,
        y2: (row) => row.high ?? row.value,
        fill: "var(--accent)",
        fillOpacity: 0.2,
      }),
      curve(rows, {x: "rank", y: "value", stroke: "var(--accent)", strokeWidth: 1.5}),
      ruleX([DRAWN + 0.5], {stroke: "var(--border-strong)", strokeDasharray: "3,3"}),
      tip(rows, pointerX({...TIP, x: "rank", y: "value", title: (row) => said(row, score)})),
    ],
  });
}
