// Who leads: a line for each checkpoint, its score with the interval; beyond the first thirty, one curve over the ranks.

import {areaY, axisX, dot, gridX, line as curve, link, pointerX, pointerY, ruleX, text, tip} from "../plot.js";
import {AXIS, NARROW_ROW, ROW} from "./bars.js";
import {NARROW, TIP, drawn, fitted, key, roomFor, together} from "./frame.js";
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
      checkpoint: line.checkpoint,
      colour: colourOf(line, index),
      ...interval(line, score),
    }))
    .filter(({value}) => value !== null);
}

export const scores = {
  controls: (ranking) => [
    {name: "score", label: "Score", options: scoreOptions(ranking), value: orderedBy(ranking)},
  ],

  label(ranking) {
    const score = orderedBy(ranking);
    const rows = rowsOf(ranking, score);
    const best = rows[0];
    return `${titleOf(score)} of ${rows.length} checkpoints; ${best.checkpoint} leads with ${shown(score, best.value)}`;
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
    const rows = rowsOf(ranking, score).map(({rank, checkpoint, low, value, high}) => [
      checkpoint,
      rank,
      shown(score, value),
      shown(score, low),
      shown(score, high),
    ]);
    return {head: ["Checkpoint", "Rank", titleOf(score), "Low", "High"], rows};
  },
};

function bars(rows, score, width) {
  const narrow = width < NARROW;
  const room = narrow ? width - 16 : roomFor(rows.map(({name}) => name), width);
  const ticks = Math.max(2, Math.floor(width / 130));
  const below = narrow ? 8 : 0;
  return drawn({
    width,
    height: AXIS + (narrow ? NARROW_ROW : ROW) * rows.length,
    marginLeft: narrow ? 8 : room + 14,
    marginRight: 60,
    marginTop: 4,
    marginBottom: AXIS - 4,
    x: {domain: extent(rows), nice: true},
    y: {axis: null, type: "point", domain: rows.map(({checkpoint}) => checkpoint), padding: 0.5},
    marks: [
      gridX({ticks, stroke: "var(--border)", strokeOpacity: 1}),
      axisX({ticks, tickFormat: (value) => tick(score, value), tickSize: 0, label: titleOf(score), labelArrow: "none"}),
      text(rows, {
        className: "name",
        y: "checkpoint",
        text: ({name}) => fitted(name, room),
        frameAnchor: "left",
        textAnchor: narrow ? "start" : "end",
        dx: narrow ? 0 : -12,
        dy: narrow ? -10 : 0,
        fontWeight: ({rank}) => (rank === 1 ? 700 : 400),
      }),
      link(rows.filter(({low, high}) => low !== null && high !== null), {
        className: "interval",
        x1: "low",
        x2: "high",
        y: "checkpoint",
        dy: below,
        stroke: "colour",
        strokeWidth: 7,
        strokeOpacity: 0.4,
        strokeLinecap: "round",
      }),
      dot(rows, {className: "value", x: "value", y: "checkpoint", dy: below, fill: "colour", r: 4.5}),
      text(rows, {
        x: (row) => row.high ?? row.value,
        y: "checkpoint",
        text: (row) => shown(score, row.value),
        textAnchor: "start",
        dx: 10,
        dy: below,
        fill: "var(--muted)",
      }),
      tip(rows, pointerY({...TIP, x: "value", y: "checkpoint", dy: below, title: (row) => said(row, score)})),
    ],
  });
}

/** What a tip says of a line. */
function said({rank, checkpoint, low, value, high}, score) {
  const reach = low === null || high === null ? "" : `, ${shown(score, low)} to ${shown(score, high)}`;
  return `${rank}. ${checkpoint}\n${titleOf(score)} ${shown(score, value)}${reach}`;
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
