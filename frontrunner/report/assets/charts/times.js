// Times as the reader's clock shows them.

const form = new Intl.DateTimeFormat(undefined, {dateStyle: "medium", timeStyle: "short"});

/**
 * Writes every `<time datetime>` within a node in the reader's zone; the whole time stays in its title.
 * @param {ParentNode} root
 */
export function localTimes(root) {
  const found = root.matches?.("time[datetime]") ? [root] : root.querySelectorAll?.("time[datetime]") ?? [];
  for (const element of found) {
    const time = new Date(element.dateTime);
    if (Number.isNaN(time.getTime()) || element.dataset.local === element.dateTime) continue;
    element.dataset.local = element.dateTime;
    element.title ||= element.dateTime;
    element.textContent = form.format(time);
  }
}
