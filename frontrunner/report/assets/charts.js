// Draws the figures of a page, puts times into the reader's zone, and copies what is to be copied.
//
// A figure `<figure class="chart" data-chart=NAME data-from=ID>` names the script element of type application/json that
// holds its data. It is drawn again whenever that element is replaced, or whenever somebody dispatches
// `frontrunner:data` on the document, with `detail.id` and perhaps `detail.data`.

import {localTimes} from "./charts/times.js";

let drawing;

/** The module that draws is loaded with the first figure. */
function draw() {
  drawing ??= import("./charts/drawing.js").then(({start}) => start());
}

function look(root) {
  if (root.querySelector?.("figure[data-chart]") || root.matches?.("figure[data-chart]")) draw();
  localTimes(root);
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("button[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  const label = (button.dataset.label ??= button.textContent);
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    button.textContent = "Copied";
  } catch {
    // Browsers let scripts copy on https and on the own machine alone.
    getSelection().selectAllChildren(source);
    button.textContent = "Selected: press Ctrl+C";
  }
  setTimeout(() => (button.textContent = label), 2000);
});

new MutationObserver((changes) => {
  for (const {addedNodes} of changes) for (const node of addedNodes) if (node.nodeType === 1) look(node);
}).observe(document.documentElement, {childList: true, subtree: true});
document.addEventListener("frontrunner:data", () => localTimes(document));
look(document);
