// The parts of the checks of tests/pages.py that run inside the page: each returns its faults, a list of sentences.

const PLAYGROUNDS = ["optimizer", "population", "units", "language", "machines"].map((name) => `${name}-playground`);
const OWN = [...PLAYGROUNDS, "optimizer-converter"].join(", ");

window.checks = {
  // Wait for the mathematics, the images, the playgrounds and the converters.
  async settle() {
    await window.MathJax?.startup?.promise;
    await Promise.all([...document.querySelectorAll(OWN)].map((it) => it.ready));
    await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
  },

  // An element's name in a message: its tag, id and classes, and how its text begins.
  describe(element) {
    const name = [element.localName, ...element.classList].join(".") + (element.id && `#${element.id}`);
    return `<${name}> ${element.textContent.trim().replace(/\s+/g, " ").slice(0, 60)}`;
  },

  mathematics() {
    const faults = [];
    for (const e of document.querySelectorAll(".math"))
      if (!e.querySelector("mjx-container")) faults.push(`formula not drawn: ${this.describe(e)}`);
    const broken = "mjx-merror, [data-mml-node=merror], [data-mjx-error], mjx-container [fill=red]";
    for (const e of document.querySelectorAll(broken))
      faults.push(`formula with an error: ${this.describe(e.closest(".math") ?? e)}`);

    const markup = /\$\$|\$[^$\s][^$]*\$|\\[([]|\\begin\{|\\[a-z]{2,}|\{[a-z:]+\}`|^:{3,}|^`{3,}/m;
    const text = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
    while (text.nextNode()) {
      const e = text.currentNode.parentElement;
      if (e.closest(`mjx-container, pre, code, script, style, ${OWN}`)) continue;
      const found = text.currentNode.data.match(markup);
      if (found) faults.push(`raw markup "${found[0]}" in ${this.describe(e)}`);
    }
    return faults;
  },

  images() {
    const missing = [...document.images].filter((image) => !image.complete || !image.naturalWidth);
    return missing.map((image) => `image does not load: ${image.src}`);
  },

  async openEverything() {
    document.querySelectorAll("main details").forEach((e) => (e.open = true));
    document.querySelectorAll("main .toggle-button-hidden").forEach((e) => e.click());
    for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
  },

  async accessibility() {
    const { violations } = await axe.run({ preload: false, resultTypes: ["violations"] });
    return violations.flatMap((rule) =>
      rule.nodes.map((node) => `${rule.id}: ${rule.help}: ${node.html.slice(0, 160)} (${node.failureSummary})`));
  },

  overflow() {
    const root = document.documentElement;
    if (root.scrollWidth <= root.clientWidth) return [];
    const scrolls = (e) => e !== document.body && (getComputedStyle(e).overflowX !== "visible" || scrolls(e.parentElement));
    const wide = [...document.body.querySelectorAll("*")].filter(
      (e) => e.getBoundingClientRect().right > root.clientWidth + 1 && !scrolls(e.parentElement));
    const names = wide.slice(0, 3).map((e) => this.describe(e)).join("; ");
    return [`the page is ${root.scrollWidth} pixels wide in a window of ${root.clientWidth}: ${names}`];
  },

  // Whether the fold that a button or a summary opens is open.
  isOpen(button) {
    if (button.matches("summary")) return button.parentElement.open;
    return button.ariaExpanded === "true" && !button.closest(".toggle").matches(".toggle-hidden");
  },
};
