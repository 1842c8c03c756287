// <units-playground sums="[[0.31, ...], ...]" slopes="[[-820, ...], ...]" lr="0.001">
// <p>What is shown where this script does not run.</p>
// </units-playground>
//
// The units of a hidden layer before and after one step: a column a unit, a dot an image. `sums` has for each unit its
// sum z for each image, `slopes` what one step at a rate of 1 would add: after a step it is z + lr * slope. A unit
// whose sums are all at or below 0 is dead.
//
// Attributes: `sums` and `slopes`, JSON arrays of the same shape; `lr`, optional, the rate that is shown first.
// Properties: `dead`, whether each unit is after the step, and `ready`, a promise.
//
// A classic script, because a page opened from disk may load nothing else.
(() => {
  "use strict";

  const { Playground, attributesOf, labelledSlider, logarithmic, setting, svg, within } = playgroundControls;

  const RATES = [1e-5, 0.02];
  const RANGE = 14; // sums beyond are drawn at the edge
  const isDead = (sums) => sums.every((z) => z <= 0);

  const SKELETON = `<div class="playground units" role="group" aria-label="Playground: the units of a layer">
    <div class="playground-map">
      <svg role="img" focusable="false">
        <rect class="units-off"></rect>
        <g class="units-dots"></g>
        <g class="playground-ticks"></g>
      </svg>
    </div>
    <div class="playground-words"><p role="status"></p></div>
    <div class="playground-controls">
      <div class="playground-sliders"></div>
      <div class="playground-foot">
        <button type="button" name="none">Before the step</button>
        <button type="button" name="reset">Reset</button>
      </div>
    </div>
  </div>`;

  class UnitsPlayground extends Playground {
    static observedAttributes = ["sums", "slopes", "lr"];

    dead = [];

    #sums;
    #slopes;
    #now = { lr: 0 };
    #initial;

    open() {
      const { wrong, number, array } = attributesOf(this);
      const full = (row) => Array.isArray(row) && row.length && row.every(Number.isFinite);
      const table = (name) => array(name, (rows) => rows.every(full), "a row of numbers a unit.");
      this.#sums = table("sums");
      this.#slopes = table("slopes");
      const lengths = (rows) => String(rows.map((row) => row.length));
      if (lengths(this.#slopes) !== lengths(this.#sums)) wrong("slopes", "write as many rows and numbers as in sums.");
      this.#initial = number("lr", 0.001, within(...RATES), `a number from ${RATES.join(" to ")}`);
      this.innerHTML = SKELETON;
      this.show("[name=none]").addEventListener("click", () => {
        this.#now.lr = 0;
        this.#slider();
        this.changed();
      });
      this.show("[name=reset]").addEventListener("click", () => this.#reset());
      this.#reset();
    }

    #reset() {
      this.#now.lr = this.#initial;
      this.#slider();
      this.update();
    }

    /** The slider; before the step it stands at its lowest. */
    #slider() {
      const scale = logarithmic(...RATES);
      const position = (value) => (value ? scale.position(value) : scale.low);
      const next = (value, direction) => (value ? scale.next(value, direction) : RATES[0]);
      const withZero = { ...scale, position, next };
      this.show(".playground-sliders").replaceChildren(
        labelledSlider("lr", "learning rate η", withZero, this.#now, () => this.changed()));
    }

    #after() {
      return this.#sums.map((row, unit) => row.map((z, image) => z + this.#now.lr * this.#slopes[unit][image]));
    }

    compute() {
      this.dead = this.#after().map(isDead);
    }

    summary() {
      const count = (flags) => flags.filter(Boolean).length;
      const before = this.#sums.map(isDead);
      const [units, now] = [before.length, count(this.dead)];
      if (!this.#now.lr) return `Before the step ${now} of ${units} units are dead: all their dots are at or below 0.`;
      const newly = count(this.dead.map((dead, unit) => dead && !before[unit]));
      const step = `After one step at ${setting(this.#now.lr)}`;
      return `${step}, ${now} of ${units} units are dead; ${newly} of them ${newly === 1 ? "was" : "were"} not before.`;
    }

    draw() {
      const drawing = this.show(".playground-map svg");
      if (!drawing) return;
      const { clientWidth: width, clientHeight: height } = this.show(".playground-map");
      const [left, right] = [30, width - 10];
      const down = (z) => ((RANGE - Math.min(Math.max(z, -RANGE), RANGE)) / (2 * RANGE)) * (height - 16) + 8;
      drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
      const off = drawing.querySelector(".units-off");
      for (const [name, value] of Object.entries({ x: 0, y: down(0), width, height: height - down(0) }))
        off.setAttribute(name, value);
      drawing.querySelector(".playground-ticks").replaceChildren(
        ...[-10, -5, 0, 5, 10].map((z) =>
          svg("text", { x: 24, y: down(z) + 4, "text-anchor": "end" }, String(z).replace("-", "−"))),
        svg("text", { x: right, y: 16, "text-anchor": "end" }, "on: sum above 0"),
        svg("text", { x: right, y: height - 8, "text-anchor": "end" }, "off"),
      );
      const column = (unit) => left + ((unit + 0.5) / this.#sums.length) * (right - left);
      drawing.querySelector(".units-dots").replaceChildren(
        ...this.#after().map((row, unit) =>
          svg("path", {
            d: row.map((z) => `M${column(unit).toFixed(1)},${down(z).toFixed(1)}h0`).join(""),
            class: this.dead[unit] ? "units-dead" : "",
          })),
      );
      const seen = `Sums of ${this.#sums.length} units, a column each, with a dot for each image.`;
      drawing.setAttribute("aria-label", `${seen} ${this.summary()}`);
    }
  }

  customElements.define("units-playground", UnitsPlayground);
})();
