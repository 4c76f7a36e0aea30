// Plots of a report: DSC over thresholds with the protocols marked, and DSC over time.
"use strict";

(() => {
  const { element, distinct, inOrder, style } = camzoo;
  const report = camzoo.get("report");
  const COLOURS = 6; // --series-0 to --series-5
  const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]];
  const SHAPES = ["●", "■", "▲", "◆", "✚", "✖"];
  const SHOWN_AT_FIRST = 6;

  const protocols = inOrder(distinct(report.curves.flatMap((line) => line.marks.map((mark) => mark.protocol))));
  const shape = (protocol) => SHAPES[protocols.indexOf(protocol) % SHAPES.length];
  const named = (index) => `--series-${index % COLOURS}`;
  const colour = (index) => style(named(index));
  const dash = (index) => DASHES[Math.floor(index / COLOURS) % DASHES.length];
  const severalRuns = distinct(report.curves.map((line) => line.run)).length > 1;
  const label = (line) => [line.method, severalRuns && `(${line.run})`, line.bound && "(saw masks)"].filter(Boolean).join(" ");
  const shown = new Set(report.curves.slice(0, SHOWN_AT_FIRST).map((_, index) => index));

  function axes(xLabel) {
    const [stroke, line] = [style("--text"), style("--line")];
    const common = { stroke, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif" };
    return [{ ...common, label: xLabel }, { ...common, label: "DSC (%)", size: 48 }];
  }

  function text(u, words, x, y, size, align) {
    u.ctx.font = `${size * devicePixelRatio}px system-ui, sans-serif`;
    u.ctx.textAlign = align;
    u.ctx.textBaseline = "middle";
    u.ctx.lineWidth = 3 * devicePixelRatio;
    u.ctx.strokeStyle = style("--ground");
    u.ctx.strokeText(words, x, y);
    u.ctx.fillText(words, x, y);
  }

  function drawMarks(u) {
    u.ctx.save();
    for (const index of shown) {
      for (const mark of report.curves[index].marks) {
        u.ctx.fillStyle = colour(index);
        text(u, shape(mark.protocol), u.valToPos(mark.threshold, "x", true), u.valToPos(mark.dsc, "y", true), 14, "center");
      }
    }
    u.ctx.restore();
  }

  function plot(place, options, data) {
    place.replaceChildren();
    return new uPlot({ width: place.clientWidth, height: 320, legend: { show: false }, cursor: { show: false }, ...options }, data, place);
  }

  function drawCurves() {
    const place = document.getElementById("curve-plot");
    const tables = report.curves.map((line) => [line.thresholds, line.dsc]);
    plot(place, {
      scales: { x: { time: false }, y: { range: (_u, low, high) => [Math.max(0, low - 3), Math.min(100, high + 3)] } },
      axes: axes("threshold"),
      series: [{}, ...report.curves.map((line, index) => ({ label: line.method, stroke: colour(index), width: 2, dash: dash(index), show: shown.has(index), points: { show: false } }))],
      hooks: { draw: [drawMarks] },
    }, uPlot.join(tables));
  }

  function lineBox(line, index) {
    const box = element("input", { type: "checkbox", checked: shown.has(index) });
    box.addEventListener("change", () => {
      if (box.checked) shown.add(index);
      else shown.delete(index);
      drawCurves();
    });
    const swatch = element("span", { className: "swatch", "aria-hidden": "true" });
    swatch.style.borderTopColor = `var(${named(index)})`;
    swatch.style.borderTopStyle = dash(index).length ? "dashed" : "solid";
    return element("label", { className: "check" }, box, swatch, label(line));
  }

  function seconds(words) {
    const found = /^([\d.]+) (s|min|h)/.exec(words ?? "");
    return found ? Number(found[1]) * { s: 1, min: 60, h: 3600 }[found[2]] : NaN;
  }

  const points = report.costs
    .map((line) => ({ name: line.method, x: seconds(line.time), y: parseFloat(line["DSC (%)"]) }))
    .filter((point) => point.x > 0 && Number.isFinite(point.y))
    .sort((a, b) => a.x - b.x);

  function drawCosts() {
    const place = document.getElementById("cost-plot");
    const [xs, ys] = [points.map((p) => p.x), points.map((p) => p.y)];
    const [low, high] = [xs[0], xs.at(-1)];
    const x = high > 10 * low
      ? { time: false, distr: 3, range: [10 ** Math.floor(Math.log10(low)), 10 ** Math.ceil(Math.log10(high))] }
      : { time: false, range: [0, high * 1.3] };
    const label = (u) => {
      u.ctx.save();
      points.forEach((point, index) => {
        const [x, y] = [u.valToPos(point.x, "x", true), u.valToPos(point.y, "y", true)];
        const leftOf = x > u.bbox.left + u.bbox.width / 2;
        u.ctx.fillStyle = colour(index);
        text(u, "●", x, y, 14, "center");
        u.ctx.fillStyle = style("--text");
        const name = point.name.length > 32 ? `${point.name.slice(0, 31)}…` : point.name;
        text(u, name, x + (leftOf ? -10 : 10) * devicePixelRatio, y, 12, leftOf ? "right" : "left");
      });
      u.ctx.restore();
    };
    plot(place, {
      scales: { x, y: { range: [0, 100] } },
      axes: axes("seconds"),
      series: [{}, { paths: () => null, points: { show: false } }],
      hooks: { draw: [label] },
    }, [xs, ys]);
  }

  function drawAll() {
    if (report.curves.length) drawCurves();
    if (distinct(points.map((point) => point.x)).length > 1) drawCosts();
    else document.getElementById("cost-plot").hidden = true;
  }

  document.getElementById("curve-lines").append(...report.curves.map(lineBox));
  document.getElementById("curve-marks").append(
    ...protocols.map((protocol) => element("span", { className: "key" }, `${shape(protocol)} ${protocol}`)));
  drawAll();
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) drawAll();
    width = innerWidth;
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
})();
