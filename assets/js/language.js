// <language-playground runs='{"Transformer": {"Adam": [[0.003, [2.7, ...], "s and ..."], ...]}}' every="50"
//   colors='{"Adam": ["#77231c", "#ffb9b2"]}' levels='{"a guess": 4.54}' prompt="The learning rate ">
// <p>What is shown where this script does not run.</p>
// </language-playground>
//
// What language models write after their training. `runs` has for each net and optimizer its runs, from the lowest rate
// to the highest: the rate, the loss after every `every` steps, and the text that the net then wrote after `prompt`; an
// empty one of a run that left the finite numbers. `colors` has a color for each optimizer, on a light page and on a
// dark one; `levels` are losses to compare with, and their names.
//
// Attributes: `runs`, `colors` and `levels`, JSON objects; `every`, a whole number; `prompt`, optional.
// Properties: `run`, the one that is shown, as in `runs`, and `ready`, a promise.
//
// A classic script, because a page opened from disk may load nothing else.
(() => {
  "use strict";

  const { Playground, among, attributesOf, clamp, labelledSlider, paint, place, setting, svg } = playgroundControls;

  const [LOW, HIGH] = [1.3, 4.8]; // losses beyond are drawn at the edge

  const SKELETON = `<div class="playground language" role="group" aria-label="Playground: what a net writes">
    <div class="playground-map">
      <svg role="img" focusable="false">
        <g class="playground-ticks"></g>
        <g class="language-others"></g>
        <path class="playground-line"></path>
        <g class="language-levels"></g>
      </svg>
    </div>
    <div class="playground-words"><p role="status"></p><pre></pre></div>
    <div class="playground-controls">
      <label class="playground-choice"><span>net</span><select name="net"></select></label>
      <label class="playground-choice"><span>optimizer</span><select name="optimizer"></select></label>
      <div class="playground-sliders"></div>
      <div class="playground-foot"><button type="button" name="best">Its best rate</button></div>
    </div>
  </div>`;

  const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  const holdsOnly = (object, right) =>
    isObject(object) && Object.keys(object).length > 0 && Object.values(object).every(right);
  const isRun = (it) =>
    Array.isArray(it) && it[0] > 0 && Array.isArray(it[1]) && it[1].every(Number.isFinite) && typeof it[2] === "string";
  const isNet = (net) => holdsOnly(net, (runs) => Array.isArray(runs) && runs.length > 0 && runs.every(isRun));

  class LanguagePlayground extends Playground {
    static observedAttributes = ["runs", "colors", "levels", "every", "prompt"];

    run = null;

    #runs;
    #colors;
    #levels;
    #every;
    #now = { net: "", optimizer: "", lr: 0 };

    open() {
      const { wrong, number } = attributesOf(this);
      const read = (name, right, should) => {
        let value;
        try {
          value = JSON.parse(this.getAttribute(name));
        } catch {
          value = null;
        }
        return holdsOnly(value, right) ? value : wrong(name, `write an object in JSON, ${should}.`);
      };
      this.#runs = read("runs", isNet, "for each net and optimizer a list of runs: [rate, [loss, ...], text]");
      this.#colors = read("colors", (pair) => Array.isArray(pair) && pair.length === 2, "two colors an optimizer");
      this.#levels = read("levels", Number.isFinite, "a loss for each name");
      this.#every = number("every", 50, (it) => Number.isInteger(it) && it > 0, "a whole number of steps");
      this.innerHTML = SKELETON;
      this.#choice("net", Object.keys(this.#runs), () => {
        this.#optimizers();
        this.#best();
      });
      this.#now.optimizer = "";
      this.#optimizers();
      this.show("[name=best]").addEventListener("click", () => this.#best());
      this.#best();
    }

    /** Fill a list to choose from, and set `#now[name]` to what is chosen, from the first entry on. */
    #choice(name, entries, chosen) {
      const select = this.show(`[name=${name}]`);
      select.replaceChildren(...entries.map((entry) => new Option(entry)));
      select.value = this.#now[name] = entries.includes(this.#now[name]) ? this.#now[name] : entries[0];
      select.onchange = () => {
        this.#now[name] = select.value;
        chosen();
      };
    }

    #optimizers() {
      this.#choice("optimizer", Object.keys(this.#runs[this.#now.net]), () => this.#best());
    }

    #all() {
      return this.#runs[this.#now.net][this.#now.optimizer];
    }

    /** Go to the rate whose last loss is the lowest. */
    #best() {
      const whole = this.#all().filter(([, , text]) => text);
      const last = (run) => run[1].at(-1);
      this.#now.lr = (whole.length ? whole : this.#all()).reduce((a, b) => (last(b) < last(a) ? b : a))[0];
      const rates = among(this.#all().map(([lr]) => lr));
      this.show(".playground-sliders").replaceChildren(
        labelledSlider("lr", "learning rate η", rates, this.#now, () => this.changed()));
      this.changed();
    }

    compute() {
      this.run = this.#all().find(([lr]) => lr === this.#now.lr);
    }

    summary() {
      const [lr, losses, text] = this.run;
      const what = `${this.#now.net}, ${this.#now.optimizer} at ${setting(lr)}`;
      const steps = losses.length * this.#every;
      if (!text) return `${what}: the gradient was not finite any more, soon after ${steps} steps.`;
      return `${what}: ${place(losses.at(-1))} nats a character after ${steps} steps.`;
    }

    draw() {
      const drawing = this.show(".playground-map svg");
      if (!drawing || !this.run) return;
      const { clientWidth: width, clientHeight: height } = this.show(".playground-map");
      const most = Math.max(...this.#all().map(([, losses]) => losses.length));
      const across = (step) => 34 + (step / (most * this.#every)) * (width - 52);
      const down = (loss) => 12 + ((HIGH - clamp(loss, LOW, HIGH)) / (HIGH - LOW)) * (height - 40);
      const line = ([, losses]) =>
        losses.map((loss, i) => `${i ? "L" : "M"}${across((i + 1) * this.#every).toFixed(1)},${down(loss).toFixed(1)}`)
          .join("");
      drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
      drawing.querySelector(".language-levels").replaceChildren(
        ...Object.entries(this.#levels).flatMap(([name, loss]) => [
          svg("path", { d: `M${across(0)},${down(loss)}H${width}` }),
          svg("text", { x: width - 8, y: down(loss) - 5, "text-anchor": "end" }, name),
        ]));
      drawing.querySelector(".playground-ticks").replaceChildren(
        ...[1.5, 2, 3, 4].map((loss) => svg("text", { x: 28, y: down(loss) + 4, "text-anchor": "end" }, loss)),
        ...[1, 2, 3, 4].map((part) => Math.round((part * most) / 4) * this.#every).map((step) =>
          svg("text", { x: across(step), y: height - 8, "text-anchor": "middle" }, step)));
      drawing.querySelector(".language-others").replaceChildren(
        ...this.#all().filter((run) => run !== this.run).map((run) => svg("path", { d: line(run) })));
      this.show(".playground-line").setAttribute("d", line(this.run));
      paint(this, { color: this.#colors[this.#now.optimizer] ?? ["#4d4d4d", "#b2b2b2"] });
      const begun = document.createElement("b");
      begun.textContent = this.getAttribute("prompt") ?? "";
      this.show("pre").replaceChildren(begun, this.run[2].replaceAll("\n", "¶")); // many line breaks would burst the box
      const seen = "The validation loss by step; pale, of this optimizer at its other rates.";
      drawing.setAttribute("aria-label", `${seen} ${this.summary()}`);
    }
  }

  customElements.define("language-playground", LanguagePlayground);
})();
