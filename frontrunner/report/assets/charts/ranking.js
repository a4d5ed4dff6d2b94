// What the charts of a ranking share: its lines, intervals, names and numbers.

/** With this probability the first one reaches more, such a line is called worse: as in answer.py. */
const SURE = 0.9;

/** @typedef {{low: number?, value: number?, high: number?}} Interval */

/** Score titles of the page; a short name stands for itself where there are none. */
function titles() {
  const text = document.getElementById("score-titles")?.textContent;
  return text ? JSON.parse(text) : {};
}

let read;
const told = (name) => (read ??= titles())[name];

/** @param {string} name @returns {string} */
export function titleOf(name) {
  return told(name)?.title ?? name.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());
}

/** Whether people read a score as points of a hundred. */
export const isShare = (name) => told(name)?.share ?? ["predicted_accuracy", "knn", "linear_probe"].includes(name);

/** A score's value as a person reads it. */
export function shown(name, value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return isShare(name) ? `${minus((100 * value).toFixed(1))}%` : minus(+value.toPrecision(4));
}

/** The same on an axis. */
export function tick(name, value) {
  return isShare(name) ? `${minus(+(100 * value).toFixed(1))}%` : minus(+value.toPrecision(6));
}

/** A number with a true minus sign. */
export const minus = (text) => String(text).replace("-", "−");

/** Low, value and high of a line's score; of the predicted accuracy the prediction's: as in answer.py. */
export function interval(line, name) {
  const score = line.scores?.[name];
  if (!score) return {low: null, value: null, high: null};
  const spread = name === "predicted_accuracy" && line.prediction ? line.prediction : score;
  return {low: spread.low ?? null, value: score.value, high: spread.high ?? null};
}

/** Whether a line may be as good as the first: as in answer.py. */
export function mayEqualFirst(line) {
  return line.behind ? line.behind.probability < SURE : Boolean(line.tied_with_best);
}

export const linesOf = (ranking) => ranking.ranking ?? [];

/** The score that orders the ranking; the first one where the data does not say. */
export function orderedBy(ranking) {
  return ranking.provenance?.ordered_by ?? Object.keys(linesOf(ranking)[0]?.scores ?? {})[0];
}

/** Scores that any line has, the one that orders first. */
export function scoresOf(ranking) {
  const found = new Set([orderedBy(ranking)]);
  for (const line of linesOf(ranking).slice(0, 50)) for (const name of Object.keys(line.scores ?? {})) found.add(name);
  found.delete(undefined);
  return [...found];
}

/** @returns {{value: string, title: string}[]} */
export const scoreOptions = (ranking) => scoresOf(ranking).map((name) => ({value: name, title: titleOf(name)}));

/** Names without what all of them begin with, up to a separator. */
export function shortNames(names) {
  if (names.length < 2) return names.map((name) => name.replace(/^local:/, ""));
  let common = names[0];
  for (const name of names) {
    let end = 0;
    while (end < common.length && common[end] === name[end]) end++;
    common = common.slice(0, end);
  }
  const cut = Math.max(common.lastIndexOf(":"), common.lastIndexOf("/")) + 1;
  return names.map((name) => name.slice(cut));
}

/** The colour of a line: first, perhaps as good, worse. */
export const colourOf = (line, index) => (index === 0 ? "var(--accent)" : mayEqualFirst(line) ? "var(--c5)" : "var(--other)");

/** Parameters in millions, fewer than ten thousand one by one. */
export function millions(count) {
  if (!count) return "–";
  return count < 1e4 ? count.toLocaleString("en") : `${(count / 1e6).toFixed(count < 1e6 ? 2 : 1)} M`;
}
