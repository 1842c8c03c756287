// <optimizer-playground landscape="ravine" optimizer="momentum" lr="0.03">
// <p>What is shown where this script does not run.</p>
// </optimizer-playground>
//
// In Markdown each of the three stands on its own line; else they end up in a paragraph, which the browser takes apart.
//
// A landscape, a start point to drag, and at once the path that an update rule takes from there. The numbers come from
// the book's own files, lib/optimizers/*.py and lib/landscapes.py, run by MicroPython in the reader's browser.
//
// Attributes, all optional: `landscape` and `optimizer` (names from lib), `lr`, `choose` (the optimizers on offer,
// separated by spaces), `steps`, `start` ("x y"), and each hyperparameter of the optimizer under its own name.
// Properties: `path` (an [x, y] for the start and every step), `heights` (one for each), and `ready`, a promise.
//
// A classic script, and lazily loaded classic scripts, because a page opened from disk may load nothing else.
(() => {
  "use strict";

  const {
    Playground, STAR, attributesOf, capitalized, clamp, inWords, labelledSlider, logarithmic, neighbor, paint, place,
    setting, svg, twoDigits, whole, within,
  } = playgroundControls; // js/controls.js
  const VENDOR = new URL("../vendor/", document.currentScript.src);
  const SCRIPTS = ["d3-array/d3-array.min.js", "d3-contour/d3-contour.min.js", "micropython.js", "playground-lib.js"];

  const TITLES = {
    rmsprop: "RMSProp", centered_rmsprop: "Centered RMSProp", adamw: "AdamW", amsgrad: "AMSGrad", radam: "RAdam",
    schedule_free_sgd: "Schedule-free SGD", schedule_free_adamw: "Schedule-free AdamW",
  }; // others are their names, capitalized
  const LABELS = {
    lr: "learning rate η",
    momentum: "momentum μ",
    beta1: "memory of gradients β₁",
    beta2: "memory of squares β₂",
    rho: "memory of squares ρ",
    eps: "guard against zero ε",
    weight_decay: "weight decay λ",
  };
  const RATES = [1e-5, 10];
  const STEPS = 200;
  const KEPT = 3; // paths for comparison, at most
  const ASPECT = 4 / 3; // of the map, whose two axes have one scale: a gradient stands upright on a contour line
  const LEVELS = 14; // contour lines
  const CELLS = 80; // of the grid from which they are drawn, from left to right; each is then
  const FINER = 3; // cut in as many, in both directions

  // ---- The engine: one MicroPython for all playgrounds of a page ---------------------------------------------------

  let engine;
  const startEngine = () => (engine ??= Promise.all(SCRIPTS.map(load)).then(Engine.create));

  function load(path) {
    return new Promise((resolve, reject) => {
      const script = Object.assign(document.createElement("script"), { src: new URL(path, VENDOR), async: false });
      script.onload = resolve;
      script.onerror = () => reject(new Error(`The playground could not load ${path}: run make book again.`));
      document.head.append(script);
    });
  }

  class Engine {
    static async create() {
      const python = await loadMicroPython({ heapsize: 8 << 20 });
      for (const [path, source] of Object.entries(stepSize.sources)) {
        const folders = path.split("/").slice(0, -1);
        folders.forEach((_, i) => {
          const folder = "/book/" + folders.slice(0, i + 1).join("/");
          if (!python.FS.analyzePath(folder).exists) python.FS.mkdirTree(folder);
        });
        python.FS.writeFile("/book/" + path, source);
      }
      python.runPython("import sys\nsys.path.insert(0, '/book')");
      return new Engine(python);
    }

    constructor(python) {
      this.python = python;
      this.module = python.pyimport("walk");
      this.landscapes = {};
    }

    /** What lib/landscapes.py says of a landscape, and the view of it: its window, widened to the shape of the map. */
    landscape(name) {
      if (!this.landscapes[name]) {
        const it = (this.landscapes[name] = JSON.parse(this.module.describe(name)));
        const [[x0, x1], [y0, y1]] = it.window;
        const height = Math.max((x1 - x0) / ASPECT, y1 - y0);
        const around = (low, high, size) => [(low + high - size) / 2, (low + high + size) / 2];
        it.view = [around(x0, x1, height * ASPECT), around(y0, y1, height)];
        // A walk ends when it has left an area ten times as wide and high.
        it.limits = it.view.map(([low, high]) => around(low, high, 10 * (high - low)));
      }
      return this.landscapes[name];
    }

    /** Contour lines as SVG paths, from the lowest to the highest, in a unit of which the map is CELLS * FINER wide. */
    contours(name) {
      const it = this.landscape(name);
      return (it.contours ??= this.#contours(name, it));
    }

    #contours(name, it) {
      const [[x0, x1], [y0, y1]] = it.view;
      const step = (x1 - x0) / CELLS;
      // Two cells more on every side: one for the cubics, one to keep the frame of the contours outside the map.
      const [columns, rows] = [CELLS + 5, Math.round(CELLS / ASPECT) + 5];
      const flat = this.python.PyProxy.toJs(
        this.module.heights(name, x0 - 2 * step, step, columns, y0 - 2 * step, step, rows));
      const coarse = d3.range(rows).map((j) => flat.slice(j * columns, (j + 1) * columns));
      const fine = d3.transpose(d3.transpose(coarse.map(refined)).map(refined));
      // Levels evenly spaced in the logarithm of the height above the lowest point, as in lib/figures.py.
      const heights = fine.flat();
      const lowest = d3.min(heights);
      const above = heights.map((height) => height - lowest);
      const [first, last] = [d3.quantile(above, 0.01) + 1e-9, d3.max(above)];
      it.highest = last;
      const levels = d3.range(LEVELS).map((i) => first * (last / first) ** (i / (LEVELS - 1)));
      const trace = (ring) => "M" + ring.map((point) => point.map((c) => (c - FINER - 0.5).toFixed(2))).join("L") + "Z";
      return d3
        .contours()
        .size([fine[0].length, fine.length])
        .thresholds(levels)(above)
        .map(({ coordinates }) => coordinates.flat().map(trace).join(""));
    }

    /** Flat list of x, y, height for the start and every step. */
    walk({ landscape, rule, hyperparameters, start, steps }) {
      const { module, state, counts_steps } = stepSize.rules[rule];
      const { limits } = this.landscape(landscape);
      const request = { landscape, module, rule, state, counts_steps, hyperparameters, start, steps, limits };
      return this.python.PyProxy.toJs(this.module.walk(JSON.stringify(request)));
    }
  }

  /** FINER values for each of `values` but the outermost, on the cubics through four neighbors. */
  function refined(values) {
    const weights = d3.range(FINER).map((i) => {
      const t = i / FINER;
      const [p, q, r] = [t + 1, t - 1, t - 2];
      return [-t * q * r / 6, p * q * r / 2, -p * t * r / 2, p * t * q / 6];
    });
    return d3.range(1, values.length - 2).flatMap((i) =>
      weights.map(([a, b, c, d]) => a * values[i - 1] + b * values[i] + c * values[i + 1] + d * values[i + 2]));
  }

  // ---- Sliders: how each kind of number moves ----------------------------------------------------------------------

  // A memory of 0.9, 0.99, 0.999 reaches 10, 100, 1000 steps back: even spacing in the logarithm of what is forgotten.
  const memory = (shortest) => {
    const kept = (forgotten) => clamp(Number((1 - forgotten).toFixed(6)), shortest, 0.9999);
    const position = (value) => -Math.log10(1 - value);
    return {
      low: position(shortest),
      high: 4,
      position,
      value: (at) => kept(twoDigits(10 ** -at)),
      next: (value, direction) => kept(neighbor(1 - value, -direction)),
    };
  };

  /** The slider of a hyperparameter, or nothing where there is no sensible one. */
  function scaleOf({ name, default: value, fraction, zero }) {
    if (name === "lr") return logarithmic(...RATES);
    if (fraction) return memory(zero ? 0 : 0.1);
    return value > 0 ? logarithmic(10 ** (Math.round(Math.log10(value)) - 6), Math.max(1, value)) : undefined;
  }

  // ---- Words -------------------------------------------------------------------------------------------------------

  const titleOf = (rule) => TITLES[rule] ?? capitalized(rule.replaceAll("_", " "));
  const powerOfTen = (exponent) =>
    exponent >= -2 && exponent <= 3
      ? String(Number(`1e${exponent}`))
      : "10" + [...String(exponent)].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻").join("");

  // ---- The element -------------------------------------------------------------------------------------------------

  const SKELETON = `<div class="playground" role="group" aria-label="Playground">
    <div class="playground-map">
      <svg aria-hidden="true" focusable="false">
        <g class="playground-ground"></g>
        <g class="playground-ticks"></g>
        <g class="playground-kept"></g>
        <path class="playground-line"></path>
        <path class="playground-dots"></path>
        <g class="playground-minima"></g>
      </svg>
      <div class="playground-start" role="group" aria-label="Start point">
        <input type="range" step="any" aria-label="Start, x">
        <input type="range" step="any" aria-label="Start, y">
        <span class="playground-hint" aria-hidden="true">drag me</span>
      </div>
    </div>
    <figure class="playground-curve">
      <figcaption>height above the minimum, step by step</figcaption>
      <svg role="img" focusable="false">
        <g class="playground-ticks"></g>
        <g class="playground-kept"></g>
        <path class="playground-line"></path>
      </svg>
    </figure>
    <div class="playground-words">
      <ul aria-label="Kept for comparison"></ul>
      <p role="status"></p>
    </div>
    <div class="playground-controls">
      <label class="playground-choice"><span>landscape</span><select></select></label>
      <fieldset class="playground-rules"><legend>optimizer</legend><div></div></fieldset>
      <div class="playground-sliders"></div>
      <div class="playground-foot">
        <button type="button" name="keep">Keep path</button>
        <button type="button" name="reset">Reset</button>
        <small></small>
      </div>
    </div>
  </div>`;

  class OptimizerPlayground extends Playground {
    static observedAttributes = ["landscape", "optimizer", "lr", "choose", "steps", "start"];

    path = [];
    heights = [];

    #engine;
    #initial; // the settings that the attributes ask for
    #now; // the settings of the moment
    #kept = []; // the rules, with their settings, whose paths stay for comparison

    async load() {
      this.#engine = await startEngine();
    }

    open() {
      this.#initial = this.#read();
      this.#build();
      this.#reset();
    }

    /** The attributes as settings. */
    #read() {
      const { wrong, oneOf, number } = attributesOf(this);
      const rules = Object.keys(stepSize.rules);
      const landscape = oneOf("landscape", Object.keys(stepSize.landscapes));
      const rule = oneOf("optimizer", rules);
      const usualRules = rules.filter((name) => !stepSize.rules[name].dash); // each of a color of its own
      const asked = (this.getAttribute("choose") ?? usualRules.join(" ")).split(/\s+/).filter(Boolean);
      if (!asked.every((name) => rules.includes(name)))
        wrong("choose", `write names among these, with spaces between: ${rules.join(" ")}.`);
      const choose = rules.filter((name) => name === rule || asked.includes(name));

      const { start: usual, view } = this.#engine.landscape(landscape);
      const start = this.getAttribute("start")?.trim().split(/[\s,]+/).map(Number) ?? usual;
      if (start.length !== 2 || !start.every((x, i) => view[i][0] <= x && x <= view[i][1]))
        wrong("start", `write two numbers on the map, for example start="${usual.join(" ")}".`);

      const [slowest, fastest] = RATES;
      const countable = (value) => Number.isInteger(value) && within(1, 1000)(value);
      const steps = number("steps", STEPS, countable, "a whole number from 1 to 1000");
      // Every rule's hyperparameters but the rate, which all share.
      const own = {};
      for (const name of rules) {
        own[name] = Object.fromEntries(stepSize.rules[name].hyperparameters.map((it) => [it.name, it.default]));
        delete own[name].lr;
      }
      for (const { name, default: missing, range, fraction, zero } of stepSize.rules[rule].hyperparameters) {
        if (name === "lr") continue;
        const holds = fraction ? (v) => within(0, 0.9999)(v) && (v > 0 || zero) : (v) => v > 0 && v < Infinity;
        own[rule][name] = number(name, missing, holds, range);
      }
      const usualRate = stepSize.rules[rule].hyperparameters.find(({ name }) => name === "lr").default;
      const lr = number("lr", usualRate, within(slowest, fastest), `a number from ${slowest} to ${fastest}`);
      return { landscape, rule, choose, start, steps, most: Math.max(STEPS, steps), lr, own };
    }

    #reset() {
      this.#now = structuredClone(this.#initial);
      this.#kept = [];
      this.#listKept();
      this.show("select").value = this.#now.landscape;
      this.show(`input[value="${this.#now.rule}"]`).checked = true;
      this.#changedLandscape();
      this.#changedRule();
      this.update();
    }

    // -- Building: once for each set of attributes

    #build() {
      this.innerHTML = SKELETON;
      const select = this.show("select");
      for (const name in stepSize.landscapes)
        select.append(new Option(capitalized(stepSize.landscapes[name]), name));
      select.addEventListener("change", () => {
        this.#now.landscape = select.value;
        this.#now.start = this.#engine.landscape(select.value).start;
        this.#changedLandscape();
        this.changed();
      });

      const rules = this.show("fieldset div");
      for (const rule of this.#initial.choose) {
        const label = document.createElement("label");
        const radio = Object.assign(document.createElement("input"), {
          type: "radio", name: `playground-${this.number}`, value: rule,
        });
        label.append(radio, titleOf(rule));
        paint(label, stepSize.rules[rule]);
        radio.addEventListener("change", () => {
          this.#now.rule = rule;
          this.#changedRule();
          this.changed();
        });
        rules.append(label);
      }

      this.show("[name=keep]").addEventListener("click", () => this.#keep());
      this.show("[name=reset]").addEventListener("click", () => this.#reset());
      paint(this.show(".playground-minima"), { color: stepSize.minimum });
      this.#makeStartMovable();
    }

    #changedRule() {
      const { rule, own, most } = this.#now;
      const { file, hyperparameters } = stepSize.rules[rule];
      paint(this, stepSize.rules[rule]);
      this.show("small").innerHTML = `runs <code>${file}</code>`;
      const slider = (...its) => labelledSlider(...its, () => this.changed());
      const sliders = this.show(".playground-sliders");
      sliders.replaceChildren();
      for (const it of hyperparameters) {
        const scale = scaleOf(it);
        const values = it.name === "lr" ? this.#now : own[rule];
        if (scale) sliders.append(slider(it.name, LABELS[it.name] ?? it.name, scale, values));
      }
      sliders.append(slider("steps", "steps", whole(1, most), this.#now));
    }

    // -- The start point: pointer, touch and keyboard

    #makeStartMovable() {
      const [map, handle] = [this.show(".playground-map"), this.show(".playground-start")];
      const inputs = [...handle.querySelectorAll("input")];
      let grip; // from the pointer to the start point, in pixels, while dragging

      const moveTo = (point) => {
        const { view } = this.#engine.landscape(this.#now.landscape);
        this.#now.start = point.map((x, i) => clamp(Number(x.toFixed(3)), ...view[i]));
        this.show(".playground-hint")?.remove();
        this.changed();
      };
      const moveToPixel = (x, y) => {
        const box = map.getBoundingClientRect();
        moveTo(this.#place([x - box.left, y - box.top], box));
      };

      map.addEventListener("pointerdown", (event) => {
        const onHandle = handle.contains(event.target);
        // A finger on the map scrolls the page, or taps (below); it drags the handle alone.
        if (event.button !== 0 || !(onHandle || event.pointerType === "mouse")) return;
        event.preventDefault();
        const box = handle.getBoundingClientRect();
        const center = [box.left + box.width / 2, box.top + box.height / 2];
        grip = onHandle ? [center[0] - event.clientX, center[1] - event.clientY] : [0, 0];
        inputs[0].focus({ preventScroll: true, focusVisible: false });
        handle.setPointerCapture(event.pointerId);
        if (!onHandle) moveToPixel(event.clientX, event.clientY);
      });
      handle.addEventListener("pointermove", (event) => {
        if (grip) moveToPixel(event.clientX + grip[0], event.clientY + grip[1]);
      });
      for (const end of ["pointerup", "pointercancel", "lostpointercapture"])
        handle.addEventListener(end, () => (grip = undefined));
      map.addEventListener("click", (event) => {
        if (event.pointerType !== "mouse" && !handle.contains(event.target)) moveToPixel(event.clientX, event.clientY);
      });

      inputs.forEach((input, axis) => {
        input.addEventListener("input", () => {
          moveTo(this.#now.start.map((x, i) => (i === axis ? Number(input.value) : x)));
        });
        input.addEventListener("keydown", (event) => {
          const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] }[event.key];
          if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
          event.preventDefault();
          const [low, high] = this.#engine.landscape(this.#now.landscape).view[0];
          const stride = ((high - low) / 200) * (event.shiftKey ? 10 : 1);
          moveTo(this.#now.start.map((x, i) => x + stride * move[i]));
        });
      });
    }

    /** Pixels of the map, as in a box of that width and height, to a place on the landscape. */
    #place([x, y], { width, height }) {
      const [[x0, x1], [y0, y1]] = this.#engine.landscape(this.#now.landscape).view;
      return [x0 + (x / width) * (x1 - x0), y1 - (y / height) * (y1 - y0)];
    }

    // -- Computing and drawing

    compute() {
      const { rule, lr, own } = this.#now;
      const walk = this.#walk(rule, { lr, ...own[rule] });
      this.path = walk.path;
      this.heights = walk.heights;
      // What was kept is walked again only from another start, or elsewhere.
      const { landscape, start, steps } = this.#now;
      const from = JSON.stringify([landscape, start, steps]);
      for (const kept of this.#kept)
        if (kept.from !== from) Object.assign(kept, { from }, this.#walk(kept.rule, kept.hyperparameters));
    }

    #walk(rule, hyperparameters) {
      const { landscape, start, steps } = this.#now;
      const flat = this.#engine.walk({ landscape, rule, hyperparameters, start, steps });
      const points = d3.range(0, flat.length, 3);
      return { path: points.map((i) => [flat[i], flat[i + 1]]), heights: points.map((i) => flat[i + 2]) };
    }

    #keep() {
      const { rule, lr, own } = this.#now;
      this.#kept = [...this.#kept, { rule, hyperparameters: { lr, ...own[rule] } }].slice(-KEPT);
      this.#listKept();
      this.update();
    }

    #listKept() {
      this.show("ul").replaceChildren(
        ...this.#kept.map(({ rule, hyperparameters }) => {
          const item = document.createElement("li");
          paint(item, stepSize.rules[rule]);
          const changed = stepSize.rules[rule].hyperparameters
            .filter(({ name, default: usual }) => name === "lr" || hyperparameters[name] !== usual)
            .map(({ name }) => `${(LABELS[name] ?? name).split(" ").at(-1)} ${setting(hyperparameters[name])}`);
          item.textContent = [titleOf(rule), ...changed].join(", ");
          return item;
        }),
      );
    }

    summary() {
      const { landscape, steps } = this.#now;
      const { minima, limits } = this.#engine.landscape(landscape);
      const taken = this.path.length - 1;
      const counted = taken === 1 ? "1 step" : `${taken} steps`;
      const within = this.path.at(-1).every((x, i) => limits[i][0] <= x && x <= limits[i][1]);
      if (taken < steps)
        return `Diverged after ${counted}: ${within ? "the next numbers overflow" : "the walk is far off the map"}.`;
      const [x, y] = this.path.at(-1);
      const distance = Math.min(...minima.map(([a, b]) => Math.hypot(x - a, y - b)));
      const which = minima.length > 1 ? "nearest minimum" : "minimum";
      const where = minima.length ? `, ${inWords(distance)} from the ${which}` : "";
      return `${capitalized(counted)}: height ${inWords(this.heights.at(-1))} at (${place(x)}, ${place(y)})${where}.`;
    }

    #changedLandscape() {
      this.show(".playground-ground").replaceChildren(
        ...this.#engine.contours(this.#now.landscape).map((d, i) => {
          const path = svg("path", { d });
          path.style.setProperty("--level", (i + 1) / LEVELS);
          return path;
        }),
      );
    }

    draw() {
      this.#drawMap();
      this.#drawCurve();
    }

    #drawMap() {
      const map = this.show(".playground-map");
      const [width, height] = [map.clientWidth, map.clientWidth / ASPECT];
      const { view, minima } = this.#engine.landscape(this.#now.landscape);
      const [[x0, x1], [y0, y1]] = view;
      const right = (x) => ((x - x0) / (x1 - x0)) * width;
      const down = (y) => height - ((y - y0) / (y1 - y0)) * height;
      const at = ([x, y]) => `${right(x).toFixed(1)},${down(y).toFixed(1)}`;

      const drawing = map.querySelector("svg");
      drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
      const unit = width / (CELLS * FINER);
      this.show(".playground-ground").setAttribute("transform", `translate(0 ${height}) scale(${unit} ${-unit})`);
      drawing.querySelector(".playground-ticks").replaceChildren(
        ...d3.ticks(x0, x1, 5).filter((x) => right(x) > 44 && right(x) < width - 14)
          .map((x) => svg("text", { x: right(x), y: height - 7, "text-anchor": "middle" }, setting(x))),
        ...d3.ticks(y0, y1, 4).filter((y) => down(y) > 14 && down(y) < height - 26)
          .map((y) => svg("text", { x: 8, y: down(y) + 4 }, setting(y))),
      );
      this.show(".playground-minima").replaceChildren(
        ...minima.map(([x, y]) => svg("path", { d: STAR, transform: `translate(${right(x)} ${down(y)})` })),
      );
      const trace = (path) => "M" + path.map(at).join("L");
      this.#drawKept(drawing, ({ path }) => trace(path));
      drawing.querySelector(":scope > .playground-line").setAttribute("d", trace(this.path));
      drawing.querySelector(".playground-dots").setAttribute("d", this.path.map((p) => `M${at(p)}h0`).join(""));

      const handle = this.show(".playground-start");
      const [x, y] = this.#now.start;
      handle.style.translate = `${right(x)}px ${down(y)}px`;
      handle.classList.toggle("playground-start-right", right(x) > width / 2);
      handle.querySelectorAll("input").forEach((input, axis) => {
        [input.min, input.max] = view[axis];
        input.value = this.#now.start[axis];
        input.setAttribute("aria-valuetext", `x ${place(x)}, y ${place(y)}`);
      });
    }

    #drawKept(drawing, trace) {
      drawing.querySelector(".playground-kept").replaceChildren(
        ...this.#kept.map((kept) => {
          const path = svg("path", { d: trace(kept), class: "playground-line" });
          paint(path, stepSize.rules[kept.rule]);
          return path;
        }),
      );
    }

    #drawCurve() {
      const drawing = this.show(".playground-curve svg");
      const [width, height] = [drawing.clientWidth, drawing.clientHeight];
      const { lowest, highest } = this.#engine.landscape(this.#now.landscape);
      const { most } = this.#now;
      // In decades; below 1e-16 a float64 height tells nothing.
      const decades = ({ heights }) => heights.map((value) => Math.log10(Math.max(value - (lowest ?? 0), 1e-16)));
      const own = decades(this);
      const [low, high] = d3.extent([this, ...this.#kept].flatMap(decades));
      // A walk that climbs far above the map leaves the curve's frame, too.
      const top = Math.min(Math.ceil(high), Math.ceil(Math.log10(highest)) + 1);
      const bottom = Math.min(Math.floor(low), top - 2);
      const [left, right, above, below] = [34, width - 12, 8, height - 20];
      const across = (step) => left + (step / most) * (right - left);
      const down = (decade) => above + ((top - decade) / (top - bottom)) * (below - above);
      const at = (decade, step) => `${across(step).toFixed(1)},${down(decade).toFixed(1)}`;
      const trace = (line) => "M" + line.map(at).join("L");

      drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
      drawing.setAttribute("aria-label",
        "Height above the minimum against the number of steps, on a logarithmic axis: " +
        `${inWords(10 ** own[0])} at the start, ${inWords(10 ** own.at(-1))} after ${own.length - 1} steps`);
      drawing.querySelector(".playground-ticks").replaceChildren(
        ...d3.range(top, bottom - 1, -Math.ceil((top - bottom) / 4)).flatMap((decade) => [
          svg("path", { d: `M${left},${down(decade)}H${right}` }),
          svg("text", { x: left - 6, y: down(decade) + 4, "text-anchor": "end" }, powerOfTen(decade)),
        ]),
        ...d3.ticks(0, most, 4).map((step) =>
          svg("text", { x: across(step), y: height - 4, "text-anchor": "middle" }, setting(step))),
      );
      this.#drawKept(drawing, (kept) => trace(decades(kept)));
      drawing.querySelector(":scope > .playground-line").setAttribute("d", trace(own));
    }
  }

  customElements.define("optimizer-playground", OptimizerPlayground);
})();
