// What the playgrounds share (playground.js, population.js, units.js, language.js, machines.js): sliders, words, colors,
// attributes that may be wrong, and how such an element opens, computes and draws.
// A classic script, loaded before theirs, because a page opened from disk may load no modules.
globalThis.playgroundControls = (() => {
  "use strict";

  // ---- Numbers -----------------------------------------------------------------------------------------------------

  const twoDigits = (value) => Number(value.toPrecision(2));
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const within = (low, high) => (value) => low <= value && value <= high;

  /** The neighbor of `value` with two significant digits, up (1) or down (-1). */
  function neighbor(value, direction) {
    const decade = 10 ** Math.floor(Math.log10(value) + 1e-9);
    const unit = direction < 0 && twoDigits(value) <= twoDigits(decade) ? decade / 100 : decade / 10;
    return twoDigits(twoDigits(value) + direction * unit);
  }

  // ---- Sliders: how each kind of number moves ----------------------------------------------------------------------

  const logarithmic = (low, high) => ({
    low: Math.log10(low),
    high: Math.log10(high),
    position: Math.log10,
    value: (position) => clamp(twoDigits(10 ** position), low, high),
    next: (value, direction) => clamp(neighbor(value, direction), low, high),
  });

  const whole = (low, high) => ({
    low,
    high,
    position: (value) => value,
    value: Math.round,
    next: (value, direction) => clamp(value + direction, low, high),
  });

  /** Some numbers, from the lowest to the highest, as far apart as they come. */
  const among = (numbers) => ({
    low: 0,
    high: numbers.length - 1,
    position: (value) => numbers.indexOf(value),
    value: (position) => numbers[Math.round(position)],
    next: (value, direction) => numbers[clamp(numbers.indexOf(value) + direction, 0, numbers.length - 1)],
  });

  /** A labelled slider for `values[name]`, which calls `changed()`; its `show()` shows a value changed elsewhere. */
  function labelledSlider(name, label, scale, values, changed) {
    const row = document.createElement("label");
    row.innerHTML = `<span>${label}</span><b aria-hidden="true"></b><input type="range" name="${name}" step="any">`;
    const [input, shown] = [row.querySelector("input"), row.querySelector("b")];
    input.min = scale.low;
    input.max = scale.high;
    const show = () => {
      const position = scale.position(values[name]);
      input.value = position;
      input.style.setProperty("--filled", `${(100 * (position - scale.low)) / (scale.high - scale.low)}%`);
      input.setAttribute("aria-valuetext", setting(values[name]));
      shown.textContent = setting(values[name]);
    };
    const set = (value) => {
      values[name] = value;
      show();
      changed();
    };
    input.addEventListener("input", () => set(scale.value(Number(input.value))));
    input.addEventListener("keydown", (event) => {
      const direction = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 }[event.key];
      if (!direction || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      let value = values[name];
      for (let i = 0; i < (event.shiftKey ? 10 : 1); i++) value = scale.next(value, direction);
      set(value);
    });
    show();
    return Object.assign(row, { show });
  }

  // ---- Words -------------------------------------------------------------------------------------------------------

  const capitalized = (text) => text[0].toUpperCase() + text.slice(1);
  const inWords = (value, digits = 2) => {
    if (value === 0) return "0";
    const size = Math.abs(value);
    const short = size < 1e-3 || size >= 1e5;
    const text = short ? value.toExponential(digits - 1) : String(Number(value.toPrecision(digits)));
    return text.replace(/^-/, "−").replace("e+", "e");
  };
  const place = (value) => value.toFixed(2).replace("-0.00", "0.00").replace("-", "−");
  const setting = (value) => value > 0 && value < 1e-3 ? value.toExponential() : String(value).replace("-", "−");

  // ---- Drawing -----------------------------------------------------------------------------------------------------

  const svg = (tag, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };

  const STAR = "M" + Array.from({ length: 10 }, (_, i) => {
    const [radius, angle] = [i % 2 ? 3 : 7.5, (i * Math.PI) / 5 - Math.PI / 2];
    return `${(radius * Math.cos(angle)).toFixed(2)},${(radius * Math.sin(angle)).toFixed(2)}`;
  }).join("L") + "Z";

  /** Give an element a color, on a light page and on a dark one, and a dash. */
  function paint(element, { color: [light, dark], dash }) {
    element.style.setProperty("--light", light);
    element.style.setProperty("--dark", dark);
    element.style.setProperty("--dash", dash || "none");
    return element;
  }

  // ---- Attributes that may be wrong --------------------------------------------------------------------------------

  /** A wrong attribute. */
  class Problem extends Error {}

  /** Functions that read the attributes of an element. A wrong one is named, with its value and the remedy. */
  function attributesOf(element) {
    const wrong = (name, should) => {
      throw new Problem(`<${element.localName}> has ${name}="${element.getAttribute(name)}"; ${should}`);
    };
    const oneOf = (name, names) => {
      const value = element.getAttribute(name) ?? names[0];
      return names.includes(value) ? value : wrong(name, `write one of ${names.join(", ")}.`);
    };
    const number = (name, missing, holds, range) => {
      if (!element.hasAttribute(name)) return missing;
      const text = element.getAttribute(name).trim();
      if (text && holds(Number(text))) return Number(text);
      return wrong(name, `write ${range}, for example ${name}="${missing}".`);
    };
    const array = (name, holds, should) => {
      let value;
      try {
        value = JSON.parse(element.getAttribute(name));
      } catch {
        value = null;
      }
      if (Array.isArray(value) && value.length && holds(value)) return value;
      return wrong(name, `write an array in JSON, ${should}`);
    };
    return { wrong, oneOf, number, array };
  }

  /** Show an error in place of the element; throw it on if it is not the author's. */
  function complain(element, error) {
    const message = document.createElement("p");
    message.className = "playground-problem";
    message.setAttribute("role", "alert");
    message.textContent = error.message;
    element.replaceChildren(message);
    if (!(error instanceof Problem)) throw error;
  }

  // ---- The element -------------------------------------------------------------------------------------------------

  let elements = 0;

  /**
   * An element that opens anew with every change of an attribute, and computes and draws at most once a frame.
   *
   * A playground has `open()`, which reads the attributes, builds what is in it and updates; `compute()`; `draw()`, once
   * more when its size changes; `summary()`, which puts in words what is seen; and, if there is something to wait for
   * before it opens, `load()`. Its property `ready` is a promise that it is drawn, or has said what is wrong.
   */
  class Playground extends HTMLElement {
    ready = Promise.resolve();
    number = ++elements; // for names that no other element of the page has

    #loaded = false;
    #frame = 0;
    #quiet = 0;
    #size = new ResizeObserver(() => this.draw());

    connectedCallback() {
      this.ready = this.#open();
    }

    disconnectedCallback() {
      this.#size.disconnect();
    }

    attributeChangedCallback() {
      if (this.#loaded) this.ready = this.#open();
    }

    async #open() {
      try {
        await this.load?.();
        this.#loaded = true;
        this.#size.disconnect();
        this.open();
        for (const box of this.querySelectorAll(".playground-map, .playground-curve")) this.#size.observe(box);
      } catch (error) {
        complain(this, error);
      }
    }

    show(selector) {
      return this.querySelector(selector);
    }

    /** Update with the next frame. */
    changed() {
      this.#frame ||= requestAnimationFrame(() => this.update());
    }

    /** Compute, draw and say. Words wait for a pause, so that a screen reader is not flooded, unless `atOnce`. */
    update(atOnce = false) {
      cancelAnimationFrame(this.#frame);
      this.#frame = 0;
      this.compute();
      this.draw();
      const status = this.show("[role=status]");
      const say = () => (status.textContent = this.summary());
      clearTimeout(this.#quiet);
      if (atOnce || !status.textContent) say();
      else this.#quiet = setTimeout(say, 200);
    }
  }

  return {
    Playground, STAR, among, attributesOf, capitalized, clamp, inWords, labelledSlider, logarithmic, neighbor, paint,
    place, setting, svg, twoDigits, whole, within,
  };
})();
