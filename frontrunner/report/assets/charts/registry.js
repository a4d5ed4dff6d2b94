// The charts by the names that figures give.
//
// A chart is an object: `draw(data, view)` gives an element, or null for nothing to draw, for which `nothing` has the
// words; `controls(data)` is what a reader may choose, which `view` holds; `label(data, other, chosen)` says in a sentence
// what is drawn, and `table(data, other, chosen)` has its numbers.

import {agreement} from "./agreement.js";
import {chances} from "./chances.js";
import {compare} from "./compare.js";
import {confused} from "./confused.js";
import {confusion} from "./confusion.js";
import {cost} from "./cost.js";
import {curves} from "./curves.js";
import {discrepancy} from "./discrepancy.js";
import {distances} from "./distances.js";
import {features} from "./features.js";
import {reliability} from "./reliability.js";
import {results} from "./results.js";
import {scores} from "./scores.js";
import {teachers} from "./teachers.js";

export const charts = {
  agreement,
  chances,
  compare,
  confused,
  confusion,
  cost,
  curves,
  discrepancy,
  distances,
  features,
  reliability,
  results,
  scores,
  teachers,
};
