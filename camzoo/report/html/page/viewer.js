// The case viewer: slices, methods side by side, and a threshold that can be moved.
"use strict";

(() => {
  const { element, radio, distinct, inOrder } = camzoo;
  const entries = camzoo.get("report").cases;
  const BY_HAND = "slider";
  const $ = (id) => document.getElementById(id);
  // Cases of one fold and seed are offered together; what all of them share is not said.
  const PARTS = { run: (run) => run, fold: (fold) => `fold ${fold}`, seed: (seed) => `seed ${seed}` };
  const told = Object.keys(PARTS).filter((part) => distinct(entries.map((entry) => entry[part])).length > 1);
  const cellOf = (entry) => told.map((part) => PARTS[part](entry[part])).join(", ");
  const state = { entry: null, data: null, organ: 1, protocol: "validated", cells: [] };
  const percent = (value) => `${(100 * value).toFixed(1)} %`;

  const unpack = (text) => fflate.unzlibSync(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));

  function unpacked(data) {
    if (!data.unpacked) {
      data.image = unpack(data.image);
      data.labels = unpack(data.labels);
      for (const method of data.methods) {
        method.bins = unpack(method.bins);
        method.winners = method.winners && unpack(method.winners);
      }
      data.unpacked = true;
    }
    return data;
  }

  // The Dice coefficient, from voxel counts of the whole volume: 1 where both masks are empty.
  function dsc(method, level, organ) {
    const sizes = method.nPred[organ - 1][level] + state.data.nRef[organ - 1];
    return sizes ? (2 * method.tp[organ - 1][level]) / sizes : 1;
  }

  function nearest(levels, threshold) {
    return levels.reduce((best, level, k) => (Math.abs(level - threshold) < Math.abs(levels[best] - threshold) ? k : best), 0);
  }

  function levelOf(method) {
    const chosen = method.thresholds[state.protocol];
    return chosen === undefined ? Number($("threshold").value) : nearest(state.data.levels, chosen);
  }

  function largestSlice() {
    const { labels, shape: [slices, rows, columns] } = state.data;
    const areas = new Array(slices).fill(0);
    labels.forEach((label, k) => { if (label === state.organ) areas[Math.floor(k / (rows * columns))]++; });
    return areas.indexOf(Math.max(...areas));
  }

  function slicesOf(volume) {
    const [, rows, columns] = state.data.shape;
    const first = Number($("slice").value) * rows * columns;
    return volume.subarray(first, first + rows * columns);
  }

  function inMask(method, level) {
    const bins = slicesOf(method.bins);
    const winners = method.winners && slicesOf(method.winners);
    return (k) => bins[k] > level && (!winners || winners[k] === state.organ);
  }

  function evidence(method) {
    const bins = slicesOf(method.bins);
    const winners = method.winners && slicesOf(method.winners);
    const { levels } = state.data;
    if (!bins.some((bin) => bin > 0)) return null; // no tag, no map
    return (k) => (winners && winners[k] !== state.organ ? null : levels[Math.max(bins[k] - 1, 0)]);
  }

  function drawMethod({ canvas, score, method, inSight }, image, reference) {
    const level = levelOf(method);
    const value = dsc(method, level, state.organ);
    const threshold = state.data.levels[level].toFixed(2);
    score.textContent = `DSC ${percent(value)} at ${threshold}`;
    score.dataset.dsc = value;
    score.dataset.threshold = state.data.levels[level];
    canvas.setAttribute("aria-label", `${method.name}: ${score.textContent}`);
    if (!inSight) return;
    drawing.draw(canvas, state.data.shape, state.data.aspect, {
      image,
      reference,
      value: $("show-map").checked ? evidence(method) : null,
      mask: $("show-mask").checked ? inMask(method, level) : null,
    });
  }

  function drawAgreement({ canvas }, image, reference) {
    const masks = state.data.methods.map((method) => inMask(method, levelOf(method)));
    const value = (k) => {
      const votes = masks.filter((mask) => mask(k)).length;
      return votes ? votes / masks.length : null;
    };
    drawing.draw(canvas, state.data.shape, state.data.aspect, { image, reference, value });
  }

  function redraw() {
    if (!state.data) return;
    const { data } = state;
    const labels = slicesOf(data.labels);
    const reference = $("show-reference").checked ? (k) => labels[k] === state.organ : null;
    const image = slicesOf(data.image);
    $("slice-value").textContent = `${Number($("slice").value) + 1} of ${data.shape[0]}`;
    $("threshold-value").textContent = state.protocol === BY_HAND
      ? data.levels[$("threshold").value].toFixed(2) : `of the protocol ${state.protocol}`;
    for (const cell of state.cells) {
      if (cell.method) drawMethod(cell, image, reference);
      else if (!cell.inSight) continue;
      else if (cell.agreement) drawAgreement(cell, image, reference);
      else drawing.draw(cell.canvas, data.shape, data.aspect, { image, reference });
    }
  }

  let asked = false;
  function redrawSoon() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; redraw(); });
  }

  // Of many methods only those that are in sight, or nearly, are drawn.
  const watcher = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) {
      const cell = state.cells.find(({ canvas }) => canvas === target);
      if (cell) cell.inSight = isIntersecting;
    }
    redrawSoon();
  }, { rootMargin: "100%" });

  function figure(title, more) {
    const { shape: [, rows, columns], aspect } = state.data;
    const canvas = element("canvas", { role: "img", "aria-label": title });
    canvas.style.aspectRatio = `${columns} / ${rows * aspect}`;
    const score = element("p", { className: "score" });
    canvas.addEventListener("wheel", turn, { passive: false });
    const shown = element("figure", {}, element("figcaption", { title }, title), canvas, score);
    return { canvas, score, shown, inSight: false, ...more };
  }

  function layOut() {
    const { methods } = state.data;
    watcher.disconnect();
    state.cells = [
      figure("Image", {}),
      ...methods.map((method) => figure(method.name, { method })),
      ...(methods.length > 1 ? [figure("Agreement", { agreement: true })] : []),
    ];
    state.cells[0].score.textContent = `slice and reference`;
    if (methods.length > 1) state.cells.at(-1).score.textContent = `masks of ${methods.length} methods`;
    $("pictures").replaceChildren(...state.cells.map((cell) => cell.shown));
    for (const { canvas } of state.cells) watcher.observe(canvas);
  }

  function showProtocols() {
    const names = inOrder(distinct(state.data.methods.flatMap((method) => Object.keys(method.thresholds))));
    if (state.protocol !== BY_HAND && !names.includes(state.protocol)) state.protocol = names[0] ?? BY_HAND;
    $("protocols").replaceChildren(...[...names, BY_HAND].map((name) =>
      radio("viewer-protocol", name, name === state.protocol, (picked) => {
        state.protocol = picked;
        placeSlider();
        redrawSoon();
      })));
  }

  function placeSlider() {
    const [first] = state.data.methods;
    if (state.protocol !== BY_HAND && first) $("threshold").value = levelOf(first);
  }

  function byHand() {
    state.protocol = BY_HAND;
    for (const input of $("protocols").querySelectorAll("input")) input.checked = input.value === BY_HAND;
    redrawSoon();
  }

  function move(slider, by) {
    slider.value = Number(slider.value) + by;
    slider.dispatchEvent(new Event("input"));
  }

  function turn(event) {
    event.preventDefault();
    move($("slice"), Math.sign(event.deltaY));
  }

  const KEYS = {
    ArrowUp: () => move($("slice"), -1), ArrowDown: () => move($("slice"), 1),
    ArrowLeft: () => move($("threshold"), -1), ArrowRight: () => move($("threshold"), 1),
  };

  // Another fold or seed shows the same case, where it has that.
  function openCell(name) {
    const offered = entries.filter((entry) => cellOf(entry) === name);
    $("case").replaceChildren(...offered.map((entry) => element("option", { value: entries.indexOf(entry) },
      [entry.standing && `${entry.standing}: `, entry.case, ` (mean DSC ${percent(entry.dsc)})`].join(""))));
    const chosen = offered.find((entry) => isShown(entry)) ?? offered[0];
    $("case").value = entries.indexOf(chosen);
    return open(entries.indexOf(chosen));
  }

  const isShown = ({ run, case: name }) => state.entry?.run === run && state.entry.case === name;

  async function open(index) {
    const entry = entries[index];
    const stays = isShown(entry);
    const threshold = state.data?.levels[$("threshold").value] ?? 0;
    state.entry = entry;
    $("case-status").textContent = `loading ${entry.case}`;
    try {
      const data = await camzoo.load(entry.file);
      if (state.entry !== entry) return; // another case was asked for meanwhile
      state.data = unpacked(data);
    } catch (error) {
      $("case-status").textContent = error.message;
      return;
    }
    $("case-status").textContent = "";
    $("organ").replaceChildren(...entry.organs.map((organ, k) => element("option", { value: k + 1 }, organ)));
    if (state.organ > entry.organs.length) state.organ = 1;
    $("organ").value = state.organ;
    $("organ-label").hidden = entry.organs.length < 2;
    $("slice").max = state.data.shape[0] - 1;
    $("threshold").max = state.data.levels.length - 1;
    if (!stays) $("slice").value = largestSlice();
    $("threshold").value = nearest(state.data.levels, threshold);
    layOut();
    showProtocols();
    placeSlider();
    redraw();
    $("viewer").dataset.shown = entry.file;
  }

  $("cell").append(...distinct(entries.map(cellOf)).map((name) => element("option", { value: name }, name)));
  $("cell-label").hidden = !told.length;
  $("cell").addEventListener("change", () => openCell($("cell").value));
  $("case").addEventListener("change", () => open(Number($("case").value)));
  $("organ").addEventListener("change", () => {
    state.organ = Number($("organ").value);
    $("slice").value = largestSlice();
    redraw();
  });
  $("slice").addEventListener("input", redrawSoon);
  $("threshold").addEventListener("input", byHand);
  for (const id of ["show-map", "show-mask", "show-reference"]) $(id).addEventListener("change", redrawSoon);
  $("pictures").addEventListener("keydown", (event) => {
    if (!KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  addEventListener("resize", redrawSoon);
  drawing.bar($("bar"));
  openCell(cellOf(entries[0]));
})();
