/* What the theme leaves out for readers who listen, who use the keyboard, or who have a small screen.
   A plain script in the head: it runs when the page is parsed and before the theme's own scripts see it. */

(() => {
  const all = (selector) => document.querySelectorAll(selector);

  /* A page opened from disk may not fetch others, so its search shows titles without excerpts. */
  if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

  function nameThings() {
    /* The name that a screen reader speaks must contain the text on the screen. */
    all(".search-button-field, details.hide > summary").forEach((e) => e.removeAttribute("aria-label"));
    all(".theme-switch").forEach((icon) => icon.removeAttribute("title"));
    const sidebar = document.querySelector("#pst-primary-sidebar");
    sidebar?.setAttribute("role", "complementary");
    sidebar?.setAttribute("aria-label", "Book");
    /* Roles that ARIA has given up, or that their contents do not fit. */
    all("[role='doc-biblioentry'], .citation-list").forEach((e) => e.removeAttribute("role"));
    /* sphinx-exercise gives every exercise of a page the same id. */
    all("#exercise-content, #solution-content").forEach((e) => e.removeAttribute("id"));
  }

  /* pandas: the index's name joins the row of the column names; numbers stand under numbers. */
  function arrangeTable(table) {
    const rows = [...table.tHead.rows];
    const last = rows.at(-1);
    const names = [...last.cells].filter((cell) => cell.textContent.trim());
    const isIndexRow = rows.length > 1 && names.every((cell) => !rows.at(-2).cells[cell.cellIndex].textContent.trim());
    if (isIndexRow) {
      names.forEach((cell) => (rows.at(-2).cells[cell.cellIndex].textContent = cell.textContent));
      last.remove();
    }
    /* A dotted name may break after a dot. */
    for (const th of table.querySelectorAll("tbody th"))
      if (!th.children.length) th.innerHTML = th.innerHTML.replace(/[._](?=[a-z])/g, "$&<wbr>");
    const number = /^[-+−]?(\d[\d,]*\.?\d*(e[-+]?\d+)?|nan|inf)?( ?(%|×|x|ulps?|m?s))?$/i;
    const body = [...table.tBodies[0].rows];
    for (const head of table.tHead.rows[table.tHead.rows.length - 1].cells) {
      const column = body.map((row) => row.cells[row.cells.length - (table.tHead.rows[0].cells.length - head.cellIndex)]);
      if (head.cellIndex && column.every((cell) => cell && number.test(cell.textContent.trim())))
        [head, ...column].forEach((cell) => cell.classList.add("number"));
    }
  }

  /* A line does not break between a formula and the mark that follows or opens it. */
  function holdTogether(formula) {
    const before = formula.previousSibling?.nodeType === 3 ? formula.previousSibling.data.match(/[([“‘]+$/) : null;
    const after = formula.nextSibling?.nodeType === 3 ? formula.nextSibling.data.match(/^[.,;:!?)\]’”…%]+/) : null;
    if (!before && !after) return;
    const box = document.createElement("span");
    box.className = "unbroken";
    formula.replaceWith(box);
    if (before) box.append(box.previousSibling.splitText(before.index));
    box.append(formula);
    if (after) {
      const mark = box.nextSibling;
      mark.splitText(after[0].length);
      box.append(mark);
    }
  }

  /* What scrolls sideways must be reachable with the keyboard; what is folded or resized may begin to scroll later. */
  const scrollers = new ResizeObserver((boxes) => {
    for (const { target } of boxes) target.tabIndex = target.scrollWidth > target.clientWidth ? 0 : -1;
  });

  document.addEventListener("readystatechange", () => {
    if (document.readyState !== "interactive") return;
    nameThings();
    all("table.dataframe").forEach(arrangeTable);
    all("span.math").forEach(holdTogether);
    /* Verdicts on exercises are prose and wrap; other printed lines keep their columns. */
    for (const text of all(".output.stream pre"))
      text.classList.toggle("verdict", /^Exercise \d+: /.test(text.textContent));
    for (const th of all(".bd-article thead th"))
      if (!th.textContent.trim()) th.replaceWith(document.createElement("td"));
  });
  document.addEventListener("DOMContentLoaded", () => {
    for (const button of all(".toggle-button"))
      button.setAttribute("aria-label", button.parentElement.textContent.trim());
  });
  /* Paper is white. */
  addEventListener("beforeprint", () => {
    const page = document.documentElement.dataset;
    const { theme } = page;
    page.theme = "light";
    addEventListener("afterprint", () => (page.theme = theme), { once: true });
  });
  addEventListener("load", async () => {
    await window.MathJax?.startup?.promise;
    /* A heading that is only a formula has a name that every reader finds. */
    all("th math").forEach((math) => math.setAttribute("aria-label", math.textContent));
    const observe = () =>
      all(".bd-article :is(pre, .text_html, .pst-scrollable-table-container, div.math mjx-container)")
        .forEach((box) => scrollers.observe(box));
    observe();
    for (const converter of all("optimizer-converter")) converter.ready.then(observe); // its code comes late
  });
})();
