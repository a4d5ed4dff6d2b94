// The charts by the names that figures give.
//
// A chart is an object: `draw(data, view, figure)` gives an element, or null for nothing to draw; `label(data)` says in a
// sentence what it shows; `table(data)` has its numbers; `controls(data)` what a reader may choose.

import {scores} from "./scores.js";

export const charts = {scores};
