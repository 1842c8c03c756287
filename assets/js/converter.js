// <optimizer-converter optimizer="adam" source="torch" target="keras">
// <p>What is shown where this script does not run.</p>
// </optimizer-converter>
//
// In Markdown each of the three stands on its own line.
//
// An optimizer of one framework, with numbers to set, and what takes the same steps in another: code to copy, or why
// there is none, and how far apart a port ends up that is not translated. The answers come from the book's own
// lib/dialects/*.py and lib/optimizers/*.py, run by MicroPython in the reader's browser.
//
// Attributes, all optional: `optimizer` (a name from lib.optimizers), `source` and `target` ("paper", "torch", "keras",
// "optax"). Properties: `answer`, what lib.dialects.converter found, and `ready`, a promise.
//
// A classic script, and lazily loaded classic scripts, because a page opened from disk may load nothing else.
(() => {
  "use strict";

  const VENDOR = new URL("../vendor/", document.currentScript.src);

  const TITLES = {
    gradient_descent: "SGD", momentum: "SGD with momentum", nesterov: "SGD, Nesterov", rmsprop: "RMSProp",
    centered_rmsprop: "RMSProp, centered", adamw: "AdamW", amsgrad: "AMSGrad", radam: "RAdam", lars: "LARS",
    lamb: "LAMB", schedule_free_sgd: "Schedule-free SGD", schedule_free_adamw: "Schedule-free AdamW",
  }; // others are their names, capitalized
  const VERDICTS = {
    same: "Carry the numbers over",
    numbers: "Other numbers do",
    schedule: "This must follow a schedule",
    switch: "A switch does it",
    never: "With these arguments, no number does.",
    absent: "This framework does not have it.",
  };
  const PORTS = {
    "only the rate": "Only the rate is carried over, the rest is the target’s default",
    "all numbers": "All numbers are carried over",
    translated: "Translated, as above",
  };
  const EXACT = 1e-9; // two paths no farther apart than this, as a share of the way, differ by rounding alone

  // ---- The engine: one MicroPython for all converters of a page ----------------------------------------------------

  let engine;
  const startEngine = () => (engine ??= start());

  async function start() {
    await Promise.all(["micropython.js", "converter-lib.js"].map(load));
    const python = await loadMicroPython({ heapsize: 8 << 20 });
    for (const [path, source] of Object.entries(stepSizeConverter.sources)) {
      const folder = "/converter/" + path.split("/").slice(0, -1).join("/");
      if (!python.FS.analyzePath(folder).exists) python.FS.mkdirTree(folder);
      python.FS.writeFile("/converter/" + path, source);
    }
    python.runPython("import sys\nsys.path.insert(0, '/converter')");
    return python.pyimport("convert");
  }

  function load(path) {
    return new Promise((resolve, reject) => {
      const script = Object.assign(document.createElement("script"), { src: new URL(path, VENDOR), async: false });
      script.onload = resolve;
      script.onerror = () => reject(new Error(`The converter could not load ${path}: run make book again.`));
      document.head.append(script);
    });
  }

  // ---- Words -------------------------------------------------------------------------------------------------------

  const titleOf = (rule) => TITLES[rule] ?? (rule[0].toUpperCase() + rule.slice(1)).replaceAll("_", " ");
  const sideOf = (side) => (side === "paper" ? "The paper" : stepSizeConverter.titles[side]);
  const twoDigits = (value) => {
    const size = Math.abs(value);
    if (size >= 1e-3 && size < 1e5) return String(Number(value.toPrecision(2))).replace("-", "−");
    return value.toExponential(0).replace("e+", "e").replaceAll("-", "−");
  };
  const written = (value) => (value && Math.abs(value) < 1e-3 ? value.toExponential() : String(value));
  const inCode = (text) => text.replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);

  /** What a first step is, ported, to what it was: "1/16", "3 ×". */
  function timesAsLong(ratio) {
    if (ratio === null) return "–";
    if (Math.abs(ratio - 1) < 0.05) return Math.abs(ratio - 1) < EXACT ? "equal" : "≈ 1";
    return ratio < 1 ? `${twoDigits(1 / ratio)} ×` : `1/${twoDigits(ratio)}`;
  }

  /** How far apart two paths end up, as a share of the way. */
  function farApart(share) {
    if (share === null) return "no number";
    if (share < EXACT) return "0";
    if (share < 1e-4) return "≈ 0";
    return share < 0.0095 ? `${twoDigits(100 * share)}%` : share < 10 ? `${Math.round(100 * share)}%` : "far";
  }

  // ---- The element -------------------------------------------------------------------------------------------------

  class Problem extends Error {}

  let elements = 0;

  class OptimizerConverter extends HTMLElement {
    static observedAttributes = ["optimizer", "source", "target"];

    answer = null;
    ready = Promise.resolve();

    #engine;
    #now; // the rule, and both sides
    #number = ++elements;
    #frame = 0;

    connectedCallback() {
      this.ready = this.#open();
    }

    attributeChangedCallback() {
      if (this.#engine) this.ready = this.#open();
    }

    async #open() {
      try {
        this.#engine = await startEngine();
        this.#now = this.#read();
        this.#build();
        this.#changedRule();
      } catch (error) {
        const message = document.createElement("p");
        message.className = "converter-problem";
        message.setAttribute("role", "alert");
        message.textContent = error.message;
        this.replaceChildren(message);
        if (!(error instanceof Problem)) throw error;
      }
    }

    #read() {
      const oneOf = (name, names, usual) => {
        const value = this.getAttribute(name) ?? usual;
        if (names.includes(value)) return value;
        throw new Problem(
          `<optimizer-converter> has ${name}="${this.getAttribute(name)}"; write one of ${names.join(", ")}.`);
      };
      const rule = oneOf("optimizer", Object.keys(stepSizeConverter.rules), "adam");
      const sides = Object.keys(stepSizeConverter.titles);
      const source = oneOf("source", Object.keys(stepSizeConverter.rules[rule]), "paper");
      return { rule, source, target: oneOf("target", sides, "keras") };
    }

    #show(selector) {
      return this.querySelector(selector);
    }

    #build() {
      const id = (name) => `converter-${this.#number}-${name}`;
      this.innerHTML = `<div class="converter" role="group" aria-label="Converter">
        <div class="converter-choices">
          <label><span>optimizer</span><select name="rule"></select></label>
          <label><span>from</span><select name="source"></select></label>
          <label><span>to</span><select name="target"></select></label>
          <button type="button" name="swap" aria-label="Swap from and to">⇄</button>
        </div>
        <fieldset class="converter-numbers"><legend></legend><div></div></fieldset>
        <p class="converter-error" id="${id("error")}" role="alert"></p>
        <div class="converter-answer">
          <p class="converter-verdict" role="status"></p>
          <div class="converter-code">
            <pre tabindex="0" role="region" aria-label="Code"><code></code></pre>
            <button type="button" name="copy">Copy</button>
          </div>
          <div class="converter-distances"></div>
        </div>
        <small>runs <code>lib/dialects/</code> and <code>lib/optimizers/</code></small>
      </div>`;
      const rules = this.#show("[name=rule]");
      for (const rule in stepSizeConverter.rules) rules.append(new Option(titleOf(rule), rule));
      for (const name of ["source", "target"])
        for (const side in stepSizeConverter.titles) this.#show(`[name=${name}]`).append(new Option(sideOf(side), side));
      for (const name of ["rule", "source", "target"])
        this.#show(`[name=${name}]`).addEventListener("change", (event) => {
          this.#now[name] = event.target.value;
          if (name === "rule") {
            const sides = Object.keys(stepSizeConverter.rules[this.#now.rule]);
            if (!sides.includes(this.#now.source)) this.#now.source = sides.find((it) => it !== this.#now.target);
          }
          if (name === "target") this.#changed();
          else this.#changedRule();
        });
      this.#show("[name=swap]").addEventListener("click", () => {
        const { source, target } = this.#now;
        Object.assign(this.#now, { source: target, target: source });
        this.#changedRule();
      });
      this.#show("[name=copy]").addEventListener("click", () => this.#copy());
    }

    /** Fields for the hyperparameters of another rule or source, filled with its defaults. */
    #changedRule() {
      const { rule, source, target } = this.#now;
      const offers = stepSizeConverter.rules[rule];
      for (const option of this.#show("[name=source]").options) option.disabled = !(option.value in offers);
      for (const [name, value] of Object.entries({ rule, source, target })) this.#show(`[name=${name}]`).value = value;
      const { optimizer, fields } = offers[source];
      const legend = this.#show("legend");
      legend.innerHTML = `<code>${optimizer.replaceAll(".", ".<wbr>")}</code>`;
      if (fields.some(({ open }) => open)) legend.append(" (without a default: marked *)");
      this.#show(".converter-numbers > div").replaceChildren(
        ...fields.map(({ name, theirs, default: usual, open }) => {
          const label = document.createElement("label");
          label.innerHTML = `<span>${theirs}${open ? " *" : ""}</span>`;
          const input = Object.assign(document.createElement("input"), {
            type: "text", inputMode: "decimal", name, value: written(usual), autocomplete: "off", spellcheck: false,
          });
          input.setAttribute("aria-describedby", `converter-${this.#number}-error`);
          input.addEventListener("input", () => this.#changed());
          label.append(input);
          return label;
        }),
      );
      this.#update();
    }

    #changed() {
      this.#frame ||= requestAnimationFrame(() => this.#update());
    }

    #update() {
      cancelAnimationFrame(this.#frame);
      this.#frame = 0;
      const { rule, source, target } = this.#now;
      this.#show("[name=target]").value = target;
      const offers = stepSizeConverter.rules[rule];
      this.#show("[name=swap]").disabled = !(target in offers);
      const numbers = {};
      let wrong = null;
      for (const input of this.querySelectorAll(".converter-numbers input")) {
        const text = input.value.trim().replace("−", "-");
        const bad = !text || !Number.isFinite(Number(text));
        input.setAttribute("aria-invalid", String(bad));
        if (bad) wrong ??= `${input.previousElementSibling.textContent.replace(" *", "")}: write a number, like 0.001 or 1e-7.`;
        numbers[input.name] = Number(text);
      }
      const defaults = {};
      for (const { name, default: usual } of offers[target]?.fields ?? []) defaults[name] = usual;
      const request = { name: rule, source, target, hyperparameters: numbers, defaults };
      this.answer = wrong ? { error: wrong } : JSON.parse(this.#engine.ask(exactly(request)));
      this.#say(offers);
    }

    #say(offers) {
      const { error, kind, code, reason, changed, moving, limit } = this.answer;
      this.#show(".converter-error").textContent = error ?? "";
      this.#show(".converter-answer").hidden = Boolean(error);
      if (error) return;
      const { target } = this.#now;
      const names = Object.fromEntries((offers[target]?.fields ?? []).map(({ name, theirs }) => [name, theirs]));
      const listed = (keys) => keys.map((key) => names[key]).filter(Boolean).join(", ");
      const fixed = listed(changed.filter((key) => !moving.includes(key)));
      const numbers = listed(moving) + (moving.length && fixed ? "; besides: " : "") + fixed;
      const verdict = this.#show(".converter-verdict");
      verdict.dataset.kind = kind;
      const inWords = ["never", "absent", "switch"].includes(kind);
      const says = inWords ? reason : `${numbers}${limit ? `${numbers ? "; " : ""}${limit}` : ""}`;
      const stop = VERDICTS[kind].endsWith(".") ? "" : says ? (numbers || inWords ? ":" : ",") : ".";
      verdict.innerHTML = `<b>${VERDICTS[kind]}${stop}</b> ${inCode(says)}`;
      if (kind === "never") verdict.append(" Below: the rule itself, which steps its arrays.");
      this.#show(".converter-code code").textContent = code;
      this.#show("[name=copy]").textContent = "Copy";
      this.#show(".converter-distances").replaceChildren(...this.#distances());
    }

    /** A table for each port: gradient sizes across. */
    #distances() {
      const { source, target } = this.#now;
      const ports = Object.keys(PORTS).filter((port) => port in this.answer.distances);
      if (!ports.length) {
        if (this.answer.kind === "absent") return [];
        const words = document.createElement("p");
        words.textContent = "A page has no arrays: how far apart this rule ends up, which sees a whole array, it cannot measure.";
        return [words];
      }
      const table = document.createElement("table");
      const sizes = stepSizeConverter.sizes.map((size) => `<th scope="col">${written(size)}</th>`).join("");
      table.innerHTML = `<caption>A parameter at 1, with gradients of these sizes, in ${sideOf(source)} and, ported, in
        ${sideOf(target)}: its first step there, to what it was, and how far apart the paths are at most in
        ${stepSizeConverter.steps} steps, as a share of the way.</caption><thead><tr><th scope="col">gradients of</th>${sizes}</tr></thead>`;
      for (const port of ports) {
        const cells = this.answer.distances[port];
        const body = table.createTBody();
        const row = (head, texts) => `<tr><th scope="row">${head}</th>${texts.map((it) => `<td>${it}</td>`).join("")}</tr>`;
        body.innerHTML =
          `<tr><th scope="rowgroup" colspan="${cells.length + 1}">${PORTS[port]}</th></tr>` +
          row("first step", cells.map(([first]) => timesAsLong(first))) +
          row("apart", cells.map(([, share]) => farApart(share)));
      }
      const box = document.createElement("div");
      box.className = "converter-scroll";
      box.tabIndex = 0;
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", "How far apart");
      box.append(table);
      return [box];
    }

    async #copy() {
      const [button, code] = [this.#show("[name=copy]"), this.#show(".converter-code code")];
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch { // where a page may not: the reader presses the keys
        getSelection().selectAllChildren(code);
        button.textContent = "Selected: press Ctrl+C";
      }
    }
  }

  /** JSON in which every number has a point or an exponent, so that MicroPython reads floats; but counts stay whole. */
  function exactly(request) {
    const text = (value) => (Number.isInteger(value) ? value.toFixed(1) : String(value));
    const object = (numbers) =>
      `{${Object.entries(numbers).map(([k, v]) => `${JSON.stringify(k)}: ${k === "update_every" ? v : text(v)}`).join(", ")}}`;
    const { name, source, target, hyperparameters, defaults } = request;
    return `{"name": ${JSON.stringify(name)}, "source": ${JSON.stringify(source)}, "target": ${JSON.stringify(target)},
      "hyperparameters": ${object(hyperparameters)}, "defaults": ${object(defaults)}}`;
  }

  customElements.define("optimizer-converter", OptimizerConverter);
})();
