"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const rows = data.columns.length ? data.values[0].length : 0;
const column = Object.fromEntries(data.columns.map((name, i) => [name, data.values[i]]));

// Text that plotly shows and does not obey.
const shown = (value) => String(value).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

function copying() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    const source = byId(button.dataset.copy);
    button.addEventListener("click", async () => {
      getSelection().selectAllChildren(source); // where the clipboard is closed to pages, Ctrl-C does the rest
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = "copied";
      } catch {
        button.textContent = "press Ctrl-C";
      }
    });
  }
}

// All trials, a page at a time.
function table() {
  const PAGE = 25;
  const head = document.querySelector("#trials thead tr");
  const body = document.querySelector("#trials tbody");
  const numeric = data.values.map((values) => values.every((v) => v === null || typeof v === "number"));
  const texts = Array.from({ length: rows }, (_, row) =>
    data.values.map((values) => values[row] ?? "").join(" ").toLowerCase());
  const filters = [...document.querySelectorAll("[data-filter]")];
  let page = 0, sorted = -1, up = true, found = [];

  const has = (name, row, wanted) =>
    name === "finding" ? column.finding[row].split(", ").includes(wanted) : column[name][row] === wanted;

  function write(value) {
    if (typeof value !== "number" || Number.isInteger(value)) return value === null ? "" : String(value);
    const size = Math.abs(value);
    return size < 1e-3 || size >= 1e6 ? value.toExponential(3) : Number(value.toPrecision(4)).toString();
  }

  function draw() {
    const cells = (row) => data.values.map((values, i) => {
      const cell = document.createElement("td");
      cell.textContent = write(values[row]);
      if (numeric[i]) cell.className = "number";
      else cell.title = cell.textContent;
      return cell;
    });
    body.replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map((row) => {
      const line = document.createElement("tr");
      line.append(...cells(row));
      return line;
    }));
    const last = Math.min((page + 1) * PAGE, found.length);
    byId("where").textContent = found.length ? `${page * PAGE + 1} to ${last} of ${found.length}` : "no trial is like that";
    byId("back").disabled = page === 0;
    byId("on").disabled = last === found.length;
  }

  function select() {
    const wanted = byId("find").value.trim().toLowerCase();
    const chosen = filters.filter((filter) => filter.value);
    found = [];
    for (let row = 0; row < rows; row++) {
      if ((!wanted || texts[row].includes(wanted)) && chosen.every((f) => has(f.dataset.filter, row, f.value))) found.push(row);
    }
    if (sorted >= 0) {
      const values = data.values[sorted], sign = up ? 1 : -1;
      found.sort((a, b) => { // what is missing comes last, whichever way
        const p = values[a], q = values[b];
        if (p === null || q === null) return (p === null) - (q === null) || a - b;
        return (p < q ? -sign : p > q ? sign : 0) || a - b;
      });
    }
    page = 0;
    draw();
  }

  data.columns.forEach((name, i) => {
    const cell = document.createElement("th");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    if (numeric[i]) cell.className = "number";
    button.addEventListener("click", () => {
      up = sorted === i ? !up : true;
      sorted = i;
      for (const other of head.children) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", up ? "ascending" : "descending");
      select();
    });
    cell.append(button);
    head.append(cell);
  });
  for (const filter of filters) {
    const values = column[filter.dataset.filter] ?? [];
    const names = filter.dataset.filter === "finding" ? values.flatMap((v) => (v ? v.split(", ") : [])) : values;
    for (const name of new Set(names)) filter.add(new Option(name, name));
    filter.addEventListener("change", select);
  }
  byId("find").addEventListener("input", select);
  byId("back").addEventListener("click", () => { page--; draw(); });
  byId("on").addEventListener("click", () => { page++; draw(); });
  select();
}

// Other parameters on the axes of the scatter.
function choosing() {
  if (!byId("across")) return;
  const plot = byId("scatter"), caption = plot.nextElementSibling;
  const first = [byId("across").value, byId("up").value, caption.textContent];
  const along = (axis, name) => {
    const { title, type, dtick, exponentformat, tickvals, ticktext, range, ...bare } = axis;
    return { ...bare, ...data.axes[name], autorange: true };
  };
  const on = (name, row) => {
    const value = column[name][row];
    return value !== null && data.axes[name].type === "category" ? shown(value) : value;
  };
  function choose() {
    const [x, y] = [byId("across").value, byId("up").value];
    const traces = plot.data.map((trace) => {
      if (!trace.meta) return { ...trace, x: trace.customdata.map((row) => on(x, row)), y: trace.customdata.map((row) => on(y, row)) };
      const [a, b] = [data.regions[trace.meta][x], data.regions[trace.meta][y]];
      return { ...trace, x: a && b ? [a[0], a[1], a[1], a[0], a[0]] : [], y: a && b ? [b[0], b[0], b[1], b[1], b[0]] : [] };
    });
    caption.textContent = x === first[0] && y === first[1] ? first[2] : `Each point is a trial: ${y} over ${x}.`;
    plot.setAttribute("aria-label", caption.textContent);
    Plotly.react(plot, traces, { ...plot.layout, xaxis: along(plot.layout.xaxis, x), yaxis: along(plot.layout.yaxis, y) });
  }
  byId("across").addEventListener("change", choose);
  byId("up").addEventListener("change", choose);
  return choose;
}

// Curves of the trials that have a finding.
function filtering() {
  if (!byId("curved")) return;
  function choose() {
    const wanted = byId("curved").value;
    const has = (row) => row === null || column.finding[row].split(", ").includes(wanted);
    for (const plot of document.querySelectorAll("#curves .plot")) {
      const y = data.figures[plot.id].data.map((trace) => trace.y.map((v, i) => (!wanted || has(trace.customdata[i]) ? v : null)));
      Plotly.restyle(plot, { y });
    }
  }
  byId("curved").addEventListener("change", choose);
  return choose;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// A figure as it is drawn on light or on dark, where the first blue is too deep.
function pictured(id) {
  const figure = JSON.parse(JSON.stringify(data.figures[id]).replaceAll("#0072B2", colour("--first")));
  figure.layout.font.color = colour("--soft");
  // While a browser lays out for paper it says more width than the paper has.
  if (matchMedia("print").matches) figure.layout.width = 0.93 * byId(id).clientWidth;
  figure.layout.hoverlabel = { align: "left", bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--ink") } };
  return figure;
}

// Plotly travels packed: a third of the size.
async function unpack() {
  const packed = Uint8Array.from(atob(byId("plotly").textContent), (letter) => letter.charCodeAt(0));
  const script = document.createElement("script");
  script.textContent = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  document.head.append(script);
}

async function draw() {
  const plots = [...document.querySelectorAll(".plot")];
  for (const plot of plots) plot.style.minHeight = `${data.figures[plot.id].layout.height}px`;
  await unpack();
  const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
  for (const plot of plots) {
    const { data: traces, layout } = pictured(plot.id);
    await Plotly.newPlot(plot, traces, layout, config);
    await new Promise((resolve) => setTimeout(resolve)); // the page answers between two pictures
  }
  const chosen = [choosing(), filtering()];
  const again = () => {
    for (const plot of plots) {
      const { data: traces, layout } = pictured(plot.id);
      Plotly.react(plot, traces, layout, config);
    }
    for (const choose of chosen) choose?.();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  matchMedia("print").addEventListener("change", again);
  document.querySelector("main").removeAttribute("aria-busy");
}

// A run that goes on: the page is read again and looks as it did.
function following() {
  const again = document.body.dataset.again;
  if (!again) return sessionStorage.removeItem("looked");
  const fields = [...document.querySelectorAll("select, input")];
  const looked = JSON.parse(sessionStorage.getItem("looked") ?? "null");
  if (looked) {
    fields.forEach((field, i) => {
      if (looked.values[i] === undefined || field.value === looked.values[i]) return;
      field.value = looked.values[i];
      for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind));
    });
    scrollTo({ top: looked.top, behavior: "instant" });
  }
  setTimeout(() => {
    sessionStorage.setItem("looked", JSON.stringify({ top: scrollY, values: fields.map((field) => field.value) }));
    location.reload();
  }, 1000 * again);
}

copying();
requestAnimationFrame(() => setTimeout(async () => { table(); await draw(); following(); })); // the text is painted first
