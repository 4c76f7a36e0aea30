// Tables of a report: scores with their switches, curves, costs and failures.
"use strict";

(() => {
  const { element, radio, distinct, inOrder } = camzoo;
  const report = camzoo.get("report");
  const SWITCHES = { data: "Data", what: "What", "learnt from": "Learnt from", protocol: "Protocol", region: "Region", organ: "Organ" };
  const WANTED = {
    what: (value) => value.includes("test"),
    "learnt from": (value) => !value.includes("whole masks"),
    protocol: (value) => value === "validated",
    region: (value) => value === "whole",
    organ: (value) => value === "mean of organs",
  };
  const severalRuns = distinct(report.scores.map((line) => line.run)).length > 1;

  const number = (text) => parseFloat(String(text ?? "").replace(/^< /, ""));

  // Numbers by their value, whatever stands behind them; what is no number is last both ways.
  function compare(a, b, _rowA, _rowB, _column, direction) {
    const [x, y] = [number(a), number(b)];
    const last = direction === "asc" ? 1 : -1;
    if (Number.isNaN(x) && Number.isNaN(y)) return String(a ?? "").localeCompare(String(b ?? ""));
    if (Number.isNaN(x)) return last;
    if (Number.isNaN(y)) return -last;
    return x - y;
  }

  const byText = (a, b) => String(a ?? "").localeCompare(String(b ?? ""));
  const TEXTS = new Set(["method", "run", "supervision", "what", "case", "organ", "reason", "protocol"]);

  // What is read first; other columns follow as they come.
  const FIRST = [
    "method", "run", "case", "organ", "reason", "DSC (%)", "time", "memory (MiB)", "95 % interval", "p (Holm)", "first", "seeds", "ASD (mm)", "MAD (mm)",
    "pooled DSC (%)", "threshold", "volumes", "failed",
  ];

  function column(field) {
    const isText = TEXTS.has(field);
    return {
      field,
      title: field,
      sorter: isText ? byText : compare,
      hozAlign: isText ? "left" : "right",
      headerHozAlign: isText ? "left" : "right",
      headerSortStartingDir: isText ? "asc" : "desc",
      formatter: (cell) => element("span", {}, String(cell.getValue() ?? "")),
      titleFormatter: (cell) => element("span", {}, String(cell.getValue())),
      variableHeight: true,
      frozen: field === "method",
      minWidth: field === "method" ? 110 : 60,
      maxWidth: isText ? Math.min(340, Math.round(innerWidth * 0.4)) : 200,
    };
  }

  function columnsOf(lines, hidden) {
    const filled = (field) => lines.some((line) => line[field] !== undefined && line[field] !== "");
    const fields = distinct([...FIRST, ...lines.flatMap((line) => Object.keys(line))]);
    return fields.filter((field) => !hidden.includes(field) && filled(field)).map(column);
  }

  // Tabulator sorts by the mouse alone.
  function sortByKeyboard(table) {
    for (const each of table.getColumns()) {
      const head = each.getElement();
      head.tabIndex = 0;
      head.onkeydown = (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        const first = each.getDefinition().headerSortStartingDir;
        const [now] = table.getSorters();
        const again = now?.field === each.getField() && now.dir === first;
        table.setSort(each.getField(), again ? (first === "asc" ? "desc" : "asc") : first);
      };
    }
  }

  function makeTable(id, lines, { hidden = [], sort, height } = {}) {
    const table = new Tabulator(`#${id}`, {
      data: lines,
      columns: columnsOf(lines, hidden),
      layout: "fitDataTable",
      nestedFieldSeparator: false,
      initialSort: sort ? [{ column: sort, dir: "desc" }] : [],
      placeholder: "nothing",
      maxHeight: height ?? "34rem",
      columnDefaults: { resizable: false },
    });
    table.on("tableBuilt", () => sortByKeyboard(table));
    return table;
  }

  function filterBy(table, inputId, countId) {
    const input = document.getElementById(inputId);
    const count = document.getElementById(countId);
    const apply = () => {
      const wanted = input.value.toLowerCase();
      const fits = (line) => Object.values(line).some((v) => String(v).toLowerCase().includes(wanted));
      table.setFilter(fits);
    };
    input.addEventListener("input", apply);
    const tell = (rows) => { count.textContent = `${rows.length} ${rows.length === 1 ? "line" : "lines"}`; };
    table.on("dataFiltered", (_filters, rows) => tell(rows));
    table.on("tableBuilt", () => tell(table.getRows("active")));
    return apply;
  }

  // What can be chosen follows from the switches before: baselines have no protocols.
  function choose(chosen) {
    let lines = report.scores;
    const options = {};
    for (const field of Object.keys(SWITCHES)) {
      options[field] = distinct(lines.map((line) => line[field]));
      if (!options[field].includes(chosen[field])) {
        chosen[field] = options[field].find(WANTED[field] ?? (() => true)) ?? options[field][0];
      }
      lines = lines.filter((line) => line[field] === chosen[field]);
    }
    return { lines, options };
  }

  function showSwitches(place, chosen, options, change) {
    const shown = JSON.stringify(options);
    if (place.dataset.shown === shown) return;
    place.dataset.shown = shown;
    place.replaceChildren(
      ...Object.entries(SWITCHES)
        .filter(([field]) => options[field].length > 1)
        .map(([field, title]) => oneSwitch(field, title, options[field], chosen, change)),
    );
  }

  function oneSwitch(field, title, values, chosen, change) {
    if (field === "protocol") {
      const radios = inOrder(values).map((value) =>
        radio("score-protocol", value, value === chosen[field], (picked) => change(field, picked)));
      return element("fieldset", {}, element("legend", {}, title), element("div", { className: "radios" }, ...radios));
    }
    const select = element("select", { id: `score-${field.replace(" ", "-")}` },
      ...values.map((value) => element("option", { value, selected: value === chosen[field] }, value)));
    select.addEventListener("change", () => change(field, select.value));
    return element("label", {}, `${title} `, select);
  }

  function showScores() {
    const place = document.getElementById("score-switches");
    const hidden = [...Object.keys(SWITCHES), ...(severalRuns ? [] : ["run"])];
    const chosen = {};
    const { lines, options } = choose(chosen);
    const table = makeTable("score-table", lines, { hidden, sort: "DSC (%)" });
    const filter = filterBy(table, "score-filter", "score-count");
    async function change(field, value) {
      chosen[field] = value;
      const next = choose(chosen);
      const focused = document.activeElement?.id;
      showSwitches(place, chosen, next.options, change);
      if (focused) document.getElementById(focused)?.focus();
      const sorted = table.getSorters().map(({ field: column, dir }) => ({ column, dir }));
      const columns = columnsOf(next.lines, hidden);
      table.setColumns(columns);
      sortByKeyboard(table);
      await table.setData(next.lines);
      table.setSort(sorted.filter((s) => columns.some((c) => c.field === s.column)));
      filter();
    }
    showSwitches(place, chosen, options, change);
  }

  function curveTable() {
    const lines = report.curves.map((line) => {
      const best = Math.max(...line.dsc);
      const marks = Object.fromEntries(line.marks.map((m) => [`${m.protocol} at`, `${m.threshold.toFixed(2)}: ${m.dsc.toFixed(2)}`]));
      return { method: line.method, run: line.run, "learnt from": line.bound ? "whole masks" : "", best: best.toFixed(2), "best at": line.thresholds[line.dsc.indexOf(best)].toFixed(2), ...marks };
    });
    makeTable("curve-table", lines, { hidden: severalRuns ? [] : ["run"], sort: "best", height: "20rem" });
  }

  showScores();
  if (report.curves.length) curveTable();
  const hidden = severalRuns ? [] : ["run"];
  if (report.costs.length) makeTable("cost-table", report.costs, { hidden, sort: "DSC (%)", height: "20rem" });
  else document.getElementById("cost-table").textContent = "No times were kept with this run.";
  if (report.failures.length) {
    filterBy(makeTable("failure-table", report.failures, { hidden }), "failure-filter", "failure-count");
  } else {
    document.getElementById("failure-filter").parentElement.hidden = true;
    document.getElementById("failure-count").textContent = "Nothing failed.";
  }
})();
