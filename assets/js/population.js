// <population-playground members="2" exploit="on" explore="on">
// <p>What is shown where this script does not run.</p>
// </population-playground>
//
// In Markdown each of the three stands on its own line; else they end up in a paragraph, which the browser takes apart.
//
// A population climbs a surface that it does not see (lib.experiments.population.Toy, the toy of Jaderberg et al. 2017,
// figure 2), with the copying and perturbing of lib/search/population.py, step by step, and every choice to change.
//
// Attributes, all optional: `members`, `lr`, `round` (steps in it), `steps` (of the whole run), `noise` (standard
// deviation of the perturbation), `seed`, `exploit` and `explore` ("on", "off"), `copies` ("weights", "weights and
// settings"), and `shown` (the step that is shown first; the last).
// Properties: `record`, what the run on the page did (see `train`), `shown`, and `ready`, a promise.
//
// A classic script, because a page opened from disk may load nothing else.
(() => {
  "use strict";

  const {
    Playground, STAR, among, attributesOf, clamp, labelledSlider, logarithmic, paint, place, setting, svg, whole,
    within,
  } = playgroundControls; // js/controls.js

  // ---- The algorithm: lib.search.population with BinaryTournament and AddNoise, on Toy -----------------------------

  const START = [0.9, 0.9];
  const HANDICAPPED = [[1, 0], [0, 1]]; // h of the first two members
  const quality = ([x, y]) => 1.2 - (x * x + y * y);
  const upTo = (n) => Array.from({ length: n }, (_, i) => i);

  /** The place of every score, from 0, the lowest. Equal scores are ranked by lot, or twins would never copy. */
  function ranks(scores, draws) {
    const lots = draws.random(scores.length);
    const rank = [];
    upTo(scores.length)
      .sort((i, j) => scores[i] - scores[j] || lots[i] - lots[j])
      .forEach((member, place) => (rank[member] = place));
    return rank;
  }

  /** Whom each member copies: another that it draws, if that one ranks higher; else itself. */
  function binaryTournament(scores, draws) {
    const members = scores.length;
    const others = draws.integers(1, Math.max(members, 2), members).map((ahead, i) => (i + ahead) % members);
    const rank = ranks(scores, draws);
    return others.map((other, i) => (rank[other] > rank[i] ? other : i));
  }

  /** Every h of everybody with normal noise, none outside [0, 1]. */
  function addNoise(h, std, draws) {
    const noise = HANDICAPPED.map(() => draws.normals(h.length)); // first for h0 of all, then for h1
    return h.map((values, i) => values.map((value, k) => clamp(value + std * noise[k][i], 0, 1)));
  }

  /** The whole path of a member in a round: so many steps up the gradient of its surrogate. */
  function climb(theta, h, lr, steps) {
    const path = [theta];
    for (let step = 0; step < steps; step++)
      path.push(path.at(-1).map((x, k) => x + lr * -2 * h[k] * x));
    return path;
  }

  /**
   * Train a population: every round all climb, are scored, and, but after the last, exploit and explore.
   *
   * `draws(round)` gives what a round draws from: an object with `random(n)`, `integers(low, high, n)` (below `high`)
   * and `normals(n)`, each an array. `h` are the settings to begin with, [h0, h1] a member. Returned are arrays with an
   * entry a round, in it one a member: `scores`, `h`, `parents` and `paths` (of [theta0, theta1], from the start of the
   * round).
   */
  function train({ h, lr, rounds, steps, exploit, explore, noise, copySettings }, draws) {
    const everyone = upTo(h.length);
    const record = { scores: [], h: [], parents: [], paths: [] };
    let theta = everyone.map(() => START);
    for (let round = 0; round < rounds; round++) {
      let parents = everyone;
      if (round > 0) {
        const random = draws(round);
        if (exploit) parents = binaryTournament(record.scores.at(-1), random);
        if (exploit && copySettings) h = parents.map((parent) => h[parent]);
        if (explore) {
          const tried = addNoise(h, noise, random);
          h = h.map((values, i) => (exploit && parents[i] === i ? values : tried[i]));
        }
        theta = parents.map((parent) => theta[parent]);
      }
      const paths = theta.map((at, i) => climb(at, h[i], lr, steps));
      theta = paths.map((path) => path.at(-1));
      record.paths.push(paths);
      record.parents.push(parents);
      record.h.push(h);
      record.scores.push(theta.map(quality));
    }
    return record;
  }

  // ---- Draws: a function of the seed and the round, so that a run comes out the same again -------------------------

  /** The finalizer of MurmurHash3 (Austin Appleby): every bit of a number touches every bit of the result. */
  function mixed(bits) {
    bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
    bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
    return (bits ^ (bits >>> 16)) >>> 0;
  }

  function drawsOf(seed, round) {
    const key = mixed(mixed(seed + 1) + round);
    let count = 0;
    const share = () => mixed(key ^ mixed(++count)) / 2 ** 32; // in [0, 1)
    const many = (draw) => (n) => upTo(n).map(draw);
    return {
      random: many(share),
      integers: (low, high, n) => upTo(n).map(() => low + Math.floor(share() * (high - low))),
      // Box and Muller 1958
      normals: many(() => Math.sqrt(-2 * Math.log(1 - share())) * Math.cos(2 * Math.PI * share())),
    };
  }

  /** The settings to begin with: those of the figure, then drawn ones. A member's do not depend on how many follow. */
  function firstSettings(members, seed) {
    const draws = drawsOf(seed, 0);
    return upTo(members).map((i) => HANDICAPPED[i] ?? draws.random(2));
  }

  // ---- Looks -------------------------------------------------------------------------------------------------------

  // Of lib/figures.py, on a light page and on a dark one; members beyond the seventh have a dash, too.
  const COLORS = [
    ["#3b71df", "#5f95ff"], ["#b75600", "#ed8c36"], ["#338459", "#53a479"], ["#a85d8d", "#c67bab"],
    ["#312390", "#d4c6ff"], ["#77231c", "#ffb9b2"], ["#000000", "#ffffff"],
  ];
  const DASHES = ["", "5 2", "1.2 1.8"];
  const styleOf = (member) =>
    ({ color: COLORS[member % COLORS.length], dash: DASHES[Math.floor(member / COLORS.length)] });
  const MOST = 16;
  const RATES = [0.001, 0.1]; // none so high that a member climbs past the top
  const NOISES = [0.01, 1];
  const STEPS = 200;
  const SECONDS = 10; // from the first step to the last
  const CALM = 2; // rounds a second, for readers who want no motion
  const VIEW = [[-0.1, 1.1], [-0.04, 0.96]]; // of the map: theta0, theta1
  const ASPECT = 6 / 5;
  const LEVELS = upTo(11).map((i) => (i - 5) / 5); // contours of Q, from -1 to 1
  const LABELLED = [0.2, 0.6, 1];
  const CURVE = [-0.5, 1.25]; // of Q

  /** A letter with an index, for an axis. */
  function name(attributes, letter, index) {
    const text = svg("text", { ...attributes, class: "population-name" }, letter);
    text.append(svg("tspan", { dy: 3, class: "population-index" }, index));
    return text;
  }

  const SKELETON = `<div class="playground population" role="group" aria-label="Playground: a population">
    <div class="playground-map">
      <svg role="img" focusable="false">
        <g class="playground-ground"></g>
        <g class="playground-ticks"></g>
        <g class="playground-minima"></g>
        <g class="population-jumps"></g>
        <g class="population-paths"></g>
        <g class="population-members"></g>
      </svg>
    </div>
    <div class="playground-words"><p role="status"></p></div>
    <div class="population-panels">
      <figure class="playground-curve">
        <figcaption><i>Q</i> by step; broad: best</figcaption>
        <svg role="img" focusable="false">
          <g class="playground-ticks"></g>
          <path class="population-best"></path>
          <g class="population-jumps"></g>
          <g class="population-paths"></g>
        </svg>
      </figure>
      <figure class="playground-curve population-settings">
        <figcaption>each one’s <i>h</i></figcaption>
        <svg role="img" focusable="false">
          <g class="playground-ticks"></g>
          <g class="population-paths"></g>
          <g class="population-members"></g>
        </svg>
      </figure>
    </div>
    <div class="playground-controls">
      <div class="playground-foot">
        <button type="button" name="play">Play</button>
        <button type="button" name="next">Next round</button>
        <button type="button" name="reset">Reset</button>
      </div>
      <div class="playground-sliders population-time"></div>
      <fieldset class="playground-rules"><legend>after each round</legend><div>
        <label><input type="checkbox" name="exploit">exploit</label>
        <label><input type="checkbox" name="explore">explore</label>
      </div></fieldset>
      <fieldset class="playground-rules"><legend>a copy takes</legend><div>
        <label><input type="radio" value="weights">weights</label>
        <label><input type="radio" value="weights and settings">weights and settings</label>
      </div></fieldset>
      <div class="playground-sliders population-numbers"></div>
      <div class="playground-foot">
        <button type="button" name="seed">New seed</button>
        <small>the algorithm of <code>lib/search/population.py</code>, seed <b></b></small>
      </div>
    </div>
  </div>`;

  // ---- The element -------------------------------------------------------------------------------------------------

  class PopulationPlayground extends Playground {
    static observedAttributes =
      ["members", "lr", "round", "steps", "noise", "seed", "exploit", "explore", "copies", "shown"];
    static train = train;
    static drawsOf = drawsOf;
    static firstSettings = firstSettings;
    static COLORS = COLORS;

    record = null;

    #initial; // the settings that the attributes ask for
    #now; // the settings of the moment
    #sliders = {};
    #playing = 0; // the frame that comes next

    get shown() {
      return this.#now?.shown;
    }

    disconnectedCallback() {
      super.disconnectedCallback();
      this.#pause();
    }

    open() {
      this.#pause();
      this.#initial = this.#read();
      this.#build();
      this.#reset();
    }

    /** The attributes as settings. */
    #read() {
      const { wrong, oneOf, number } = attributesOf(this);
      const count = (low, high) => (value) => Number.isInteger(value) && within(low, high)(value);
      const members = number("members", 2, count(2, MOST), `a whole number from 2 to ${MOST}`);
      const lr = number("lr", 0.01, within(...RATES), `a number from ${RATES.join(" to ")}`);
      const noise = number("noise", 0.1, within(...NOISES), `a number from ${NOISES.join(" to ")}`);
      const seed = number("seed", 0, count(0, 1e6), "a whole number from 0 to 1000000");
      const steps = number("steps", STEPS, count(1, 1000), "a whole number from 1 to 1000");
      const whole = (value) => count(1, steps)(value) && steps % value === 0;
      const dividing = `a whole number that divides ${steps}, the number of steps`;
      const round = number("round", steps % 10 ? 1 : 10, whole, dividing);
      const shown = number("shown", steps, count(0, steps), `a whole number from 0 to ${steps}`);
      const exploit = oneOf("exploit", ["on", "off"]) === "on";
      const explore = oneOf("explore", ["on", "off"]) === "on";
      const copies = oneOf("copies", ["weights", "weights and settings"]);
      return { members, lr, noise, seed, steps, round, shown, exploit, explore, copies };
    }

    // -- Building: once for each set of attributes

    #build() {
      this.innerHTML = SKELETON;
      for (const name of ["exploit", "explore"])
        this.show(`[name=${name}]`).addEventListener("change", (event) => {
          this.#now[name] = event.target.checked;
          this.changed();
        });
      for (const radio of this.querySelectorAll("[type=radio]")) {
        radio.name = `population-${this.number}`;
        radio.addEventListener("change", () => {
          this.#now.copies = radio.value;
          this.changed();
        });
      }
      this.show("[name=play]").addEventListener("click", () => (this.#playing ? this.#pause() : this.#play()));
      this.show("[name=next]").addEventListener("click", () => this.#nextRound());
      this.show("[name=reset]").addEventListener("click", () => this.#reset());
      this.show("[name=seed]").addEventListener("click", () => {
        this.#now.seed++;
        this.changed();
      });
      paint(this.show(".playground-minima"), { color: ["#595959", "#a6a6a6"] });
    }

    /** Back to the attributes. */
    #reset() {
      this.#pause();
      this.#now = { ...this.#initial };
      const { steps } = this.#now;
      const slider = (name, label, scale, changed = () => this.changed()) =>
        (this.#sliders[name] = labelledSlider(name, label, scale, this.#now, changed));
      this.show(".population-time").replaceChildren(
        slider("shown", "step", whole(0, steps), () => {
          this.#pause();
          this.changed();
        }),
      );
      const divisors = upTo(steps + 1).filter((n) => n && steps % n === 0);
      this.show(".population-numbers").replaceChildren(
        slider("members", "members", whole(2, MOST)),
        slider("lr", "learning rate η", logarithmic(...RATES)),
        ...(divisors.length > 1 ? [slider("round", "steps in a round", among(divisors))] : []),
        slider("noise", "perturbation of h (std)", logarithmic(...NOISES)),
      );
      this.update();
    }

    // -- Time

    #play() {
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      let [before, exact] = [performance.now(), this.#now.shown % this.#now.steps]; // at the end: from the start
      const tick = (time) => {
        const { steps, round } = this.#now;
        exact += (Math.max(time - before, 0) / 1000) * (calm ? CALM * round : steps / SECONDS);
        before = time;
        this.#moveTo(Math.min(steps, Math.floor(calm ? exact - (exact % round) : exact)));
        if (this.#now.shown < steps) this.#playing = requestAnimationFrame(tick);
        else this.#pause();
      };
      this.#playing = requestAnimationFrame(tick);
      this.#moveTo(Math.floor(exact));
      this.#showTime();
    }

    #pause() {
      cancelAnimationFrame(this.#playing);
      this.#playing = 0;
      if (this.#now) this.#showTime();
    }

    #nextRound() {
      this.#pause();
      const { shown, steps, round } = this.#now;
      this.#moveTo(shown === steps ? 0 : (Math.floor(shown / round) + 1) * round);
    }

    #moveTo(step) {
      if (step === this.#now.shown) return;
      this.#now.shown = step;
      this.#sliders.shown.show();
      this.changed();
    }

    #showTime() {
      const button = this.show("[name=play]");
      if (!button) return;
      button.textContent = this.#playing ? "Pause" : "Play";
      // While it plays the words change too often to be read out.
      this.show("[role=status]").setAttribute("aria-live", this.#playing ? "off" : "polite");
    }

    // -- Computing and drawing

    update() {
      super.update(Boolean(this.#playing));
    }

    compute() {
      const { members, seed, lr, steps, round, noise, exploit, explore, copies } = this.#now;
      const run = {
        h: firstSettings(members, seed), lr, rounds: steps / round, steps: round, exploit, explore, noise,
        copySettings: copies === "weights and settings",
      };
      this.record = train(run, (number) => drawsOf(seed, number));
      for (const name of ["exploit", "explore"]) this.show(`[name=${name}]`).checked = this.#now[name];
      for (const radio of this.querySelectorAll("[type=radio]")) {
        radio.checked = radio.value === copies;
        radio.disabled = !exploit;
      }
      this.show("[name=noise]").disabled = !explore;
      this.show("small b").textContent = seed;
    }

    /** The paths up to the step that is shown: of each round that has begun, of each member. */
    #rounds() {
      const { shown, round } = this.#now;
      const begun = Math.max(1, Math.ceil(shown / round));
      return this.record.paths.slice(0, begun).map((paths, r) =>
        paths.map((path) => path.slice(0, shown - r * round + 1)));
    }

    /** The best Q at the step that is shown, and who has it. */
    #best() {
      const now = this.#rounds().at(-1).map((path) => quality(path.at(-1)));
      const best = Math.max(...now);
      return { best, leaders: upTo(now.length).filter((i) => now[i] === best) };
    }

    summary() {
      const { shown, round, members, exploit, explore } = this.#now;
      const name = exploit ? (explore ? "PBT" : "Exploit only") : explore ? "Explore only" : "Neither";
      const { best, leaders } = this.#best();
      if (!shown) return `${name}, step 0: all ${members} begin at (0.90, 0.90), where Q is ${place(best)}.`;
      const number = Math.ceil(shown / round);
      const parents = this.record.parents[number - 1];
      const copies = upTo(members).filter((i) => parents[i] !== i);
      const each = copies.map((i) => `${i + 1} copied ${parents[i] + 1}`).join(", ");
      const many = copies.length > 2;
      const copied = many ? `${copies.length} members copied another` : each ? `member ${each}` : "nobody copied";
      const did = exploit ? copied : explore ? "every h was perturbed" : "nothing happened";
      const by = leaders.length === 1 ? `member ${leaders[0] + 1}` : `${leaders.length} members alike`;
      const before = number > 1 ? ` Before round ${number}, ${did}.` : "";
      return `${name}, step ${shown}: best Q ${place(best)}, by ${by}.${before}`;
    }

    draw() {
      this.#drawMap();
      this.#drawCurve();
      this.#drawSettings();
    }

    /** Lines of all members, with gaps where they copied, and the jumps across these. `at` places a point of a path. */
    #drawPaths(drawing, at) {
      const { members, round } = this.#now;
      const rounds = this.#rounds();
      const lines = [];
      const jumps = [];
      for (let i = 0; i < members; i++) {
        let line = "";
        rounds.forEach((paths, r) => {
          const copied = r > 0 && this.record.parents[r][i] !== i;
          const points = paths[i].map((point, step) => at(point, r * round + step));
          const from = copied && at(rounds[r - 1][i].at(-1), r * round);
          if (copied) jumps.push(this.#member("path", i, { d: `M${from}L${points[0]}` }));
          line += (r && !copied ? "L" : "M") + points.join("L");
        });
        lines.push(this.#member("path", i, { d: line, class: "playground-line" }));
      }
      drawing.querySelector(".population-paths").replaceChildren(...lines);
      drawing.querySelector(".population-jumps")?.replaceChildren(...jumps);
    }

    #member(tag, i, attributes) {
      const element = paint(svg(tag, attributes), styleOf(i));
      element.classList.add("population-own");
      return element;
    }

    /** A dot a member; those with the best Q last and with a ring. */
    #drawMembers(drawing, places) {
      const { leaders } = this.#best();
      const circle = (i, r, kind) => this.#member("circle", i, { cx: places[i][0], cy: places[i][1], r, class: kind });
      drawing.querySelector(".population-members").replaceChildren(
        ...upTo(places.length).filter((i) => !leaders.includes(i)).map((i) => circle(i, 5, "")),
        ...leaders.flatMap((i) => [circle(i, 5, ""), circle(i, 9, "population-ring")]),
      );
    }

    #drawMap() {
      const map = this.show(".playground-map");
      const drawing = map.querySelector("svg");
      const [width, height] = [map.clientWidth, map.clientWidth / ASPECT];
      const [[x0, x1], [y0, y1]] = VIEW;
      const right = (x) => ((x - x0) / (x1 - x0)) * width;
      const down = (y) => height - ((y - y0) / (y1 - y0)) * height;
      drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
      const radius = (level) => Math.sqrt(1.2 - level);
      drawing.querySelector(".playground-ground").replaceChildren(
        ...LEVELS.map((level, i) => {
          const r = radius(level) * (width / (x1 - x0));
          const half = (across) => `a${r},${r} 0 1 0 ${across},0`;
          const circle = svg("path", { d: `M${right(0) - r},${down(0)}${half(2 * r)}${half(-2 * r)}` });
          circle.style.setProperty("--level", (i + 1) / LEVELS.length);
          return circle;
        }),
      );
      drawing.querySelector(".playground-ticks").replaceChildren(
        ...[0.3, 0.6, 0.9].flatMap((tick) => [
          svg("text", { x: right(tick), y: height - 5, "text-anchor": "middle" }, setting(tick)),
          svg("text", { x: 6, y: down(tick) + 4 }, setting(tick)),
        ]),
        name({ x: right(0.75), y: height - 7, "text-anchor": "middle" }, "θ", 0),
        name({ x: 8, y: down(0.75) + 2 }, "θ", 1),
        ...LABELLED.map((level) => {
          const [cosine, sine] = [Math.cos(0.3), Math.sin(0.3)];
          const at = { x: right(radius(level) * cosine), y: down(radius(level) * sine) + 4, "text-anchor": "middle" };
          return svg("text", at, level === 1 ? "Q = 1" : setting(level));
        }),
      );
      this.show(".playground-minima").replaceChildren(
        svg("path", { d: STAR, transform: `translate(${right(0)} ${down(0)})` }));
      this.#drawPaths(drawing, ([x, y]) => `${right(x).toFixed(1)},${down(y).toFixed(1)}`);
      const ends = this.#rounds().at(-1).map((path) => path.at(-1));
      this.#drawMembers(drawing, ends.map(([x, y]) => [right(x), down(y)]));
      const best = ends[this.#best().leaders[0]];
      drawing.setAttribute("aria-label",
        "Map of Q with its contour lines, circles around the top at (0, 0), and the paths of " +
        `${ends.length} members from (0.9, 0.9); the best is at (${best.map(place).join(", ")})`);
    }

    #drawCurve() {
      const drawing = this.show(".playground-curve svg");
      const [width, height] = [drawing.clientWidth, drawing.clientHeight];
      const { shown, steps, round } = this.#now;
      const [low, high] = CURVE;
      const [left, right, above, below] = [30, width - 12, 6, height - 20];
      const across = (step) => left + (step / steps) * (right - left);
      const down = (q) => above + ((high - q) / (high - low)) * (below - above);
      const at = (q, step) => `${across(step).toFixed(1)},${down(q).toFixed(1)}`;
      drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
      drawing.querySelector(".playground-ticks").replaceChildren(
        ...[0, 0.4, 0.8, 1.2].flatMap((q) => [
          svg("path", { d: `M${left},${down(q)}H${right}` }),
          svg("text", { x: left - 6, y: down(q) + 4, "text-anchor": "end" }, setting(q)),
        ]),
        ...upTo(3).map((i) => Math.round((steps * i) / 2)).map((step) =>
          svg("text", { x: across(step), y: height - 4, "text-anchor": "middle" }, setting(step))),
      );
      const best = this.#rounds().flatMap((paths, r) =>
        paths[0].map((_, step) => at(Math.max(...paths.map((path) => quality(path[step]))), r * round + step)));
      drawing.querySelector(".population-best").setAttribute("d", "M" + best.join("L"));
      this.#drawPaths(drawing, (point, step) => at(quality(point), step));
      drawing.setAttribute("aria-label",
        `Q of each member against the number of steps: ${place(quality(START))} at the start, at best ` +
        `${place(this.#best().best)} after ${shown} steps`);
    }

    #drawSettings() {
      const drawing = this.show(".population-settings svg");
      const [width, height] = [drawing.clientWidth, drawing.clientHeight];
      const side = Math.max(10, Math.min(width - 30, height - 28));
      const [left, below] = [18, height - 20];
      const at = ([x, y]) => [left + x * side, below - y * side];
      const begun = this.#rounds().length;
      drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
      drawing.querySelector(".playground-ticks").replaceChildren(
        svg("path", { d: `M${left},${below}h${side}v${-side}h${-side}Z` }),
        svg("text", { x: left, y: height - 4, "text-anchor": "middle" }, "0"),
        svg("text", { x: left + side, y: height - 4, "text-anchor": "middle" }, "1"),
        svg("text", { x: left - 6, y: below - side + 8, "text-anchor": "end" }, "1"),
        name({ x: left + side / 2, y: height - 6, "text-anchor": "middle" }, "h", 0),
        name({ x: 0, y: below - side / 2 + 4 }, "h", 1),
      );
      const trails = this.record.h.slice(0, begun);
      drawing.querySelector(".population-paths").replaceChildren(
        ...trails[0].map((_, i) =>
          this.#member("path", i, { d: `M${trails.map((h) => at(h[i])).join("L")}`, class: "playground-line" })),
      );
      this.#drawMembers(drawing, trails.at(-1).map(at));
      drawing.setAttribute("aria-label",
        "Hyperparameters h of all members, each from 0 to 1; the best has " +
        `(${trails.at(-1)[this.#best().leaders[0]].map(place).join(", ")})`);
    }
  }

  customElements.define("population-playground", PopulationPlayground);
})();
