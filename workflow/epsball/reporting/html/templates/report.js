"use strict";
/* The report: charts, enlarged figures, the panel of a sample. */

const PLOT_OPTIONS = {
  displaylogo: false,
  responsive: true,
  modeBarButtons: [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]],
};
const PLOT_LAYOUT = {
  autosize: true,
  margin: { l: 70, r: 12, t: 12, b: 60 },
  font: { family: "system-ui, sans-serif", size: 13 },
  hovermode: "closest",
  legend: { orientation: "h", y: 1, yanchor: "bottom", x: 0 },
  paper_bgcolor: "transparent",
  plot_bgcolor: "transparent",
  modebar: { bgcolor: "transparent" },
};

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/* What is packed into the page */

async function unpack(id) {
  const packed = await fetch(`data:;base64,${get(id).textContent}`);
  return new Response(packed.body.pipeThrough(new DecompressionStream("gzip")));
}

function once(load) {
  let loading;
  return () => (loading ??= load());
}

const loadCharts = once(async () => (await unpack("charts")).json());
const loadPanels = once(async () => (await unpack("panels")).json());
const loadPlotly = once(async () => {
  document.head.append(element("script", {}, await (await unpack("plotly")).text()));
  return Plotly;
});

/* Charts */

async function plot(place, traces, layout) {
  try {
    const library = await loadPlotly();
    await library.react(place, traces, { ...PLOT_LAYOUT, ...layout }, PLOT_OPTIONS);
  } catch (error) {
    place.replaceChildren(element("p", { class: "note" }, `This browser cannot draw the chart (${error.message}).`));
  }
}

async function plotChart(place, network) {
  const { data, layout } = (await loadCharts())[place.dataset.chart];
  await plot(place, data.filter((trace) => trace.meta === network), layout);
  place.removeAllListeners?.("plotly_click");
  place.on?.("plotly_click", ({ points: [{ text: sample }] }) => {
    const address = `sample-${layout.meta[network]}-${sample}`;
    if (get(address)) location.hash = address; // not all samples of a large run are shown
  });
  place.dataset.drawn = network;
}

function plotChartsOf(page) {
  const network = page.querySelector("select.network")?.value;
  for (const place of page.querySelectorAll("[data-chart]")) plotChart(place, network);
}

/* Matrices of many networks, sorted by a column and filtered by factors */

function sortRows({ currentTarget: button }) {
  const head = button.parentNode;
  const body = head.closest("table").tBodies[0];
  const descending = head.ariaSort === "ascending";
  for (const other of head.parentNode.cells) other.ariaSort = null;
  head.ariaSort = descending ? "descending" : "ascending";
  const value = (row) => row.cells[head.cellIndex].dataset.value?.replace("inf", "Infinity") ?? row.cells[head.cellIndex].textContent;
  const keys = new Map([...body.rows].map((row) => [row, value(row)]));
  const unknown = (key) => key === "" || key === "nan"; // last, in either direction
  const order = (a, b) => (Number(a) - Number(b) || a.localeCompare(b, undefined, { numeric: true })) * (descending ? -1 : 1);
  const rows = [...keys.keys()].sort((one, other) => {
    const [a, b] = [keys.get(one), keys.get(other)];
    return unknown(a) - unknown(b) || order(a, b);
  });
  body.append(...rows);
}

function filterRows({ currentTarget: select }) {
  const matrix = select.closest(".long");
  const asked = [...matrix.querySelectorAll(".factor")].filter((one) => one.value);
  const rows = [...matrix.querySelector("tbody").rows];
  for (const row of rows) row.hidden = asked.some((one) => row.cells[one.dataset.column].textContent !== one.value);
  matrix.querySelector("output").value = asked.length ? `${rows.filter((row) => !row.hidden).length} of ${rows.length}` : "";
}

for (const button of all(".sort")) button.addEventListener("click", sortRows);
for (const select of all(".factor")) select.addEventListener("change", filterRows);

/* Enlarged figures */

const dialog = get("enlarged");

function enlarge(title, ...content) {
  dialog.querySelector("span").replaceChildren(...title);
  dialog.querySelector(".content").replaceChildren(...content);
  dialog.showModal();
  dialog.scrollTop = 0;
}

function enlargeFigure({ currentTarget: button }) {
  const { src, alt } = button.firstChild;
  const links = [...button.parentNode.querySelectorAll(":scope > figcaption a, :scope > p a")].flatMap((link) => [" ", link.cloneNode(true)]);
  enlarge([alt, ".", ...links], element("img", { src, alt, class: "wide" }));
}

/* The panel of a sample */

const panel = get("sample");
const thumbs = all(".thumb");
const [heading, networkSelect, previous, next, close, image, chart, strips] =
  ["h2", "select", "[rel=prev]", "[rel=next]", ".close", "img", ".chart", ".strips"].map((part) => panel.querySelector(part));

async function showPanel() {
  const thumb = thumbs.find((one) => one.hash === location.hash);
  const closed = thumbs.find((one) => one.ariaCurrent);
  markCurrent(thumbs, thumb, "true");
  panel.hidden = !thumb;
  if (!thumb) return closed?.focus();
  panel.dataset.key = "";
  const { samples, radii, epsilon } = await loadPanels();
  const sample = samples[thumb.dataset.key];
  const place = thumbs.indexOf(thumb);
  const name = (radius) => (radius === epsilon ? "ε" : String(radius));
  heading.textContent = `${sample.image}: ${sample.classes[sample.label]}`;
  previous.href = thumbs.at(place - 1).hash;
  next.href = thumbs.at((place + 1) % thumbs.length).hash;
  image.src = sample.clean ?? thumb.querySelector("img").src;
  image.alt = sample.image;
  networkSelect.replaceChildren(...Object.keys(sample.scores).map((network) => element("option", {}, network)));
  networkSelect.onchange = () => {
    const network = networkSelect.value;
    strips.replaceChildren(...drawStrips(sample, network, name));
    return plot(chart, scoreTraces(sample.scores[network], radii.map(name)), SCORE_LAYOUT);
  };
  panel.focus({ preventScroll: true });
  panel.scrollIntoView();
  await networkSelect.onchange();
  panel.dataset.key = thumb.dataset.key;
}

const SCORE_LAYOUT = {
  xaxis: { title: { text: "radius r", standoff: 6 }, type: "category", showgrid: false, showline: true },
  yaxis: { title: { text: "score" }, range: [-0.03, 1.03], zeroline: false },
};

function scoreTraces(scores, x) {
  const kinds = [["isotropy", "draws", "#3b8fd4"], ["symmetry", "permutations", "#e0701a"]];
  return kinds.flatMap(([probe, name, color]) => {
    const { score_min: lowest, score_mean: mean, score_max: highest, misclassified } = scores[probe];
    const band = { x, mode: "lines", legendgroup: probe, showlegend: false, line: { width: 0 }, fillcolor: `${color}33` };
    return [
      { ...band, y: highest, hovertemplate: "highest %{y:.3~g}<extra></extra>" },
      { ...band, y: lowest, hovertemplate: "lowest %{y:.3~g}<extra></extra>", fill: "tonexty" },
      {
        x,
        y: mean,
        legendgroup: probe,
        name,
        line: { color, width: 2 },
        customdata: misclassified,
        hovertemplate: `mean of ${name} %{y:.3~g}<br>misclassified %{customdata:.0%}<extra></extra>`,
      },
    ];
  });
}

function drawStrips(sample, network, name) {
  if (!sample.draws) return [element("p", { class: "dim" }, "The draws of this sample are left out to keep the page small.")];
  const titles = { isotropy: "The draw of lowest score at each radius", symmetry: "The same among permutations of one perturbation" };
  return Object.entries(sample.draws[network]).flatMap(([probe, draws]) => [
    element("h3", {}, titles[probe]),
    element("div", { class: "draws" }, ...draws.map((draw) => drawButton(sample, network, draw, name(draw.radius)))),
  ]);
}

function drawButton(sample, network, draw, radius) {
  const score = draw.score.toFixed(4);
  const result = draw.wrong ? `✗ ${sample.classes[draw.prediction]}` : "✓ correct";
  const description = `r = ${radius}, score ${score}: ${result}`;
  const picture = element("img", { src: sample.pictures[draw.picture], alt: "", class: "pixelated" });
  const button = element(
    "button",
    { type: "button", class: draw.wrong ? "wrong" : "right", "aria-label": `Enlarge: ${description}` },
    picture,
    `r = ${radius}: ${score}`,
    element("br"),
    element(draw.wrong ? "b" : "span", {}, result),
  );
  button.addEventListener("click", () => compareWithClean(sample, network, draw, picture, description));
  return button;
}

async function compareWithClean(sample, network, draw, picture, description) {
  const [clean, perturbed] = [image, picture].map((shown) => shown.cloneNode());
  const [difference, factor] = await drawDifference(clean, perturbed);
  clean.alt = "clean image";
  perturbed.alt = "perturbed image";
  perturbed.classList.toggle("wrong", draw.wrong);
  const pixels = sample.lossless ? "8-bit pixels" : "compressed pictures, where small differences are mostly due to compression";
  const captions = [
    `Clean: ${sample.classes[sample.label]}; score ${sample.clean_scores[network].toFixed(4)}`,
    `Perturbed: ${description}`,
    `Difference of the ${pixels}, × ${Number(factor.toPrecision(3))}, around grey`,
  ];
  const figures = [clean, perturbed, difference].map((shown, place) =>
    element("figure", {}, shown, element("figcaption", {}, captions[place])),
  );
  enlarge([`${network}, draw ${draw.draw}`], element("div", { class: "three" }, ...figures));
}

async function drawDifference(before, after) {
  const [one, other] = await Promise.all([before, after].map(readPixels));
  const largest = other.data.reduce((found, value, place) => Math.max(found, Math.abs(value - one.data[place])), 1);
  const factor = 127 / largest;
  for (let place = 0; place < other.data.length; place += 1) {
    if (place % 4 < 3) other.data[place] = 128 + factor * (other.data[place] - one.data[place]);
  }
  const canvas = element("canvas", { width: other.width, height: other.height, class: "pixelated", role: "img", "aria-label": "difference" });
  canvas.getContext("2d").putImageData(other, 0, 0);
  return [canvas, factor];
}

async function readPixels(picture) {
  await picture.decode();
  const { naturalWidth: width, naturalHeight: height } = picture;
  const context = element("canvas", { width, height }).getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  return context.getImageData(0, 0, width, height);
}

function followKey(event) {
  const link = { ArrowLeft: previous, ArrowRight: next, Escape: close }[event.key];
  const scrolls = link !== close && event.target.closest(".draws, .scroll");
  const modified = event.altKey || event.ctrlKey || event.metaKey;
  if (!link || panel.hidden || dialog.open || scrolls || modified || event.target.matches("select")) return;
  event.preventDefault();
  link.click();
}

function showAddress() {
  showPanel();
  plotChartsOf(currentPage());
}

const selects = all("select.network");
for (const select of selects) {
  select.addEventListener("change", () => {
    for (const other of selects) other.value = select.value;
    plotChartsOf(currentPage());
  });
}
for (const button of all(".enlarge")) button.addEventListener("click", enlargeFigure);
for (const button of all(".fold-all")) {
  button.addEventListener("click", () => {
    for (const fold of all("#claims details")) fold.open = button.value === "open";
  });
}
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
addEventListener("keydown", followKey);
addEventListener("hashchange", showAddress);
showAddress();
