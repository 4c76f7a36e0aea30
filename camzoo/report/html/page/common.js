// What all scripts of a report share: data as they arrive, and elements made of text alone.
"use strict";

const camzoo = (() => {
  const arrived = new Map();
  const waiting = new Map();

  // Called by the scripts under data/: browsers let a page from disk load scripts, but no files.
  function receive(name, value) {
    arrived.set(name, value);
    waiting.get(name)?.(value);
  }

  function load(name) {
    if (arrived.has(name)) return Promise.resolve(arrived.get(name));
    return new Promise((resolve, reject) => {
      waiting.set(name, resolve);
      const script = document.createElement("script");
      script.src = `data/${name}.js`;
      script.onerror = () => reject(new Error(`${script.src} is not there`));
      document.head.append(script);
    });
  }

  // Names come from anywhere: they become text, never markup.
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name in made) made[name] = value;
      else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  // A radio button that stands in its own label.
  function radio(group, value, checked, change) {
    const input = element("input", { type: "radio", name: group, value, checked });
    input.addEventListener("change", () => change(value));
    return element("label", {}, input, ` ${value}`);
  }

  function distinct(values) {
    return [...new Set(values)];
  }

  // The protocol that numbers are believed by comes first.
  const PROTOCOLS = ["validated", "cross-validated", "mask-free", "oracle", "oracle-case", "fixed", "otsu"];

  function inOrder(protocols) {
    const place = (name) => (PROTOCOLS.includes(name) ? PROTOCOLS.indexOf(name) : PROTOCOLS.length);
    return [...protocols].sort((a, b) => place(a) - place(b));
  }

  function style(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  const get = (name) => arrived.get(name);
  return { receive, load, get, element, radio, distinct, inOrder, style };
})();
