// <machines-playground steps="[142, 75, 57, 38, 32, 25, 21]">
// <p>What is shown where this script does not run.</p>
// </machines-playground>
//
// How long a training takes on 1, 2, 4, ... machines, each of which computes 16 examples of a batch in time 1 on
// average: the steps that it needs at that batch (`steps`), times the time of a step. A step waits for the slowest
// machine, or, with backups, for the first of all that make up the batch; then the gradients go around a ring, each in
// the time `travel`.
//
// Attribute: `steps`, a JSON array. Properties: `result`, of the machines that are chosen, and `ready`, a promise.
//
// A classic script, because a page opened from disk may load nothing else.
(() => {
  "use strict";

  const { Playground, among, attributesOf, labelledSlider, svg, whole } = playgroundControls;

  const EXAMPLES = 16;
  const HIGHEST = 1.5; // of one machine's time; bars beyond end at the edge
  const INITIAL = { machines: 16, backups: 0, travel: 0, times: "random" };
  const TRAVELS = Array.from({ length: 21 }, (_, i) => i / 20);

  // The mean time until the first n of n + b have come: of exponential times, the first after 1 / (n + b), the next
  // 1 / (n + b - 1) later, and so on; of times between 0.9 and 1.1.
  const ARRIVAL = {
    random: (n, b) => Array.from({ length: n }, (_, i) => 1 / (b + 1 + i)).reduce((sum, wait) => sum + wait),
    steady: (n, b) => 0.9 + (0.2 * n) / (n + b + 1),
  };
  const stepTime = (n, { backups, travel, times }) => ARRIVAL[times](n, backups) + (travel * 2 * (n - 1)) / n;
  const some = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

  const SKELETON = `<div class="playground machines" role="group" aria-label="Playground: how many machines">
    <div class="playground-map">
      <svg role="img" focusable="false">
        <g class="machines-bars"></g>
        <g class="playground-ticks"></g>
      </svg>
    </div>
    <div class="playground-words"><p role="status"></p></div>
    <div class="playground-controls">
      <label class="playground-choice"><span>times</span><select name="times"></select></label>
      <div class="playground-sliders"></div>
      <div class="playground-foot"><button type="button" name="reset">Reset</button></div>
    </div>
  </div>`;

  class MachinesPlayground extends Playground {
    static observedAttributes = ["steps"];

    result;

    #steps; // how many at each number of machines
    #now;
    #all;

    open() {
      const positive = (value) => Number.isFinite(value) && value > 0;
      const all = (values) => values.every(positive);
      const steps = attributesOf(this).array("steps", all, "a number > 0 for each of 1, 2, 4, ... machines.");
      this.#steps = new Map(steps.map((count, i) => [2 ** i, count]));
      this.innerHTML = SKELETON;
      const select = this.show("select");
      select.append(...Object.keys(ARRIVAL).map((name) => new Option(name)));
      select.addEventListener("change", () => {
        this.#now.times = select.value;
        this.changed();
      });
      this.show("[name=reset]").addEventListener("click", () => this.#reset());
      this.#reset();
    }

    #reset() {
      const counts = [...this.#steps.keys()];
      this.#now = { ...INITIAL, machines: Math.min(INITIAL.machines, counts.at(-1)) };
      this.show("select").value = this.#now.times;
      const slider = (name, label, scale) => labelledSlider(name, label, scale, this.#now, () => this.changed());
      this.show(".playground-sliders").replaceChildren(
        slider("machines", "machines", among(counts)),
        slider("backups", "backups", whole(0, 16)),
        slider("travel", "travel", among(TRAVELS)),
      );
      this.update();
    }

    compute() {
      const alone = this.#steps.get(1);
      this.#all = [...this.#steps].map(([machines, steps]) => {
        const step = stepTime(machines, this.#now);
        return { machines, batch: EXAMPLES * machines, steps, step, time: steps * step, share: (steps * step) / alone };
      });
      this.result = this.#all.find((it) => it.machines === this.#now.machines);
    }

    summary() {
      const { machines, batch, steps, step, time, share } = this.result;
      const { backups } = this.#now;
      const all = some(machines, "machine") + (backups ? ` and ${some(backups, "backup")}` : "");
      const training = `${steps.toFixed(0)} steps of ${step.toFixed(2)} take ${time.toFixed(0)}`;
      return `${all}, a batch of ${batch.toLocaleString("en")}: ${training}, ${share.toFixed(2)} times one machine's.`;
    }

    draw() {
      const drawing = this.show(".playground-map svg");
      if (!drawing) return;
      const { clientWidth: width, clientHeight: height } = this.show(".playground-map");
      const [left, right, bottom] = [12, width - 12, height - 26];
      const down = (share) => bottom - (Math.min(share, HIGHEST) / HIGHEST) * (bottom - 8);
      const room = (right - left) / this.#all.length;
      drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
      drawing.querySelector(".machines-bars").replaceChildren(
        ...this.#all.map(({ machines, share }, i) =>
          svg("rect", {
            x: left + (i + 0.15) * room, width: 0.7 * room, y: down(share), height: bottom - down(share),
            class: machines === this.#now.machines ? "machines-chosen" : "",
          })),
      );
      drawing.querySelector(".playground-ticks").replaceChildren(
        svg("path", { d: `M${left},${down(1)}H${right}` }),
        svg("text", { x: right, y: down(1) - 5, "text-anchor": "end" }, "one machine"),
        ...this.#all.map(({ machines }, i) =>
          svg("text", { x: left + (i + 0.5) * room, y: height - 9, "text-anchor": "middle" }, String(machines))),
      );
      const seen = "The time of the training, a bar for each number of machines:";
      const bars = this.#all.map(({ machines, share }) => `${machines}: ${share.toFixed(2)}`).join(", ");
      drawing.setAttribute("aria-label", `${seen} ${bars}, in times of one machine's without backups.`);
    }
  }

  customElements.define("machines-playground", MachinesPlayground);
})();
