// Tables beside the drawings.

/** Rows of a table beside a drawing; the page's own tables and files have all. */
const LARGEST = 200;

/**
 * @param {{head: string[], rows: (string | number | null)[][]}} table
 * @param {string} caption
 * @returns {HTMLElement}
 */
export function tableOf({head, rows}, caption) {
  const table = document.createElement("table");
  table.className = "table";
  table.createCaption().textContent = caption;
  table.caption.className = "visually-hidden";
  const top = table.createTHead().insertRow();
  const numeric = head.map((_, column) => column > 0 && rows.every((row) => !isName(row[column])));
  head.forEach((title, column) => top.append(cell("th", title, numeric[column], "col")));
  const body = table.createTBody();
  for (const row of rows.slice(0, LARGEST)) {
    const line = body.insertRow();
    row.forEach((value, column) => {
      line.append(cell(column ? "td" : "th", value ?? "–", numeric[column], column ? null : "row"));
    });
  }
  if (rows.length > LARGEST) {
    const last = body.insertRow().insertCell();
    last.colSpan = head.length;
    last.textContent = `and ${rows.length - LARGEST} more`;
  }
  const wrap = document.createElement("div");
  wrap.className = "table-wrap";
  wrap.tabIndex = 0;
  wrap.setAttribute("role", "region");
  wrap.setAttribute("aria-label", `${caption}, as a table`);
  wrap.append(table);
  return wrap;
}

function isName(value) {
  return typeof value === "string" && !/^[−\d.,%–\s]*(M|ms|MB)?$/.test(value);
}

function cell(tag, value, number, scope) {
  const element = document.createElement(tag);
  element.textContent = String(value);
  if (number) element.className = "number";
  if (scope) element.scope = scope;
  return element;
}
