"use strict";
(() => {
  const root = document.documentElement;
  const get = (id) => document.getElementById(id);
  const all = (selector) => [...document.querySelectorAll(selector)];
  root.classList.add("script");

  // Without a script all folds are open; with one they start closed, but for the first of a chapter of nothing else.
  for (const fold of all("details.fold")) fold.open = fold.matches("#beyond > details:first-of-type");

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== false) made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  }

  // Numbers as the tables show them, three digits.
  const number = (value) => String(Number(value.toPrecision(3)));
  const score = (value) => value.toFixed(4);

  /* Dark and light */

  const button = get("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  function kept(value) {
    try {
      if (value === undefined) return localStorage.getItem("epsball-theme");
      localStorage.setItem("epsball-theme", value);
    } catch {
      // A browser may refuse storage to a file: the choice lasts for this page, then.
    }
    return null;
  }
  function themed() {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", isDark() ? "Switch to light" : "Switch to dark");
    for (const chart of all(".js-plotly-plot")) Plotly.relayout(chart, colours());
  }
  const before = kept();
  if (before === "dark" || before === "light") root.dataset.theme = before;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    kept(root.dataset.theme);
    themed();
  });
  dark.addEventListener("change", themed);

  /* What is packed into the page */

  const unpacking = {};
  function unpacked(id) {
    unpacking[id] ??= (async () => {
      const bytes = Uint8Array.from(atob(get(id).textContent), (character) => character.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      return new Response(stream).text();
    })();
    return unpacking[id];
  }
  const data = async (id) => JSON.parse(await unpacked(id));
  let library;
  function plotly() {
    library ??= unpacked("plotly").then((text) => {
      document.head.append(element("script", {}, text));
      return window.Plotly;
    });
    return library;
  }

  /* Charts */

  function colours() {
    const style = getComputedStyle(document.body);
    const rule = getComputedStyle(document.querySelector("header")).borderBottomColor;
    return {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      "font.color": style.color,
      "xaxis.linecolor": rule,
      "yaxis.gridcolor": rule,
      "modebar.bgcolor": "rgba(0,0,0,0)",
      "modebar.color": rule,
      "modebar.activecolor": style.color,
      "hoverlabel.bgcolor": style.backgroundColor,
      "hoverlabel.bordercolor": rule,
      "hoverlabel.font.color": style.color,
    };
  }
  async function draw(place, traces, layout) {
    try {
      const library = await plotly();
      await library.newPlot(place, traces, layout, { displaylogo: false, responsive: true, modeBarButtons: [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]] });
      await library.relayout(place, colours());
      place.dataset.drawn = "yes";
    } catch (error) {
      place.replaceChildren(element("p", { class: "note" }, `This browser cannot draw the chart (${error.message}).`));
    }
  }
  function show(place) {
    const chapter = place.closest("section").id;
    const network = document.querySelector(`select[data-charts="${chapter}"]`).value;
    Plotly.restyle(place, { visible: place.data.map((trace) => trace.meta === network) });
    Plotly.relayout(place, { "yaxis.autorange": true });
  }
  async function drawCharts(section) {
    for (const place of section.querySelectorAll(".chart[data-chart]:not([data-drawn])")) {
      place.dataset.drawn = "now";
      const { data: traces, layout } = (await data("charts"))[place.dataset.chart];
      await draw(place, traces, { ...layout, autosize: true });
      if (!place.on) continue;
      show(place);
      place.on("plotly_click", ({ points: [point] }) => {
        if (point.text) open(point.data.meta, point.text);
      });
    }
  }
  for (const select of all("select.network")) {
    select.addEventListener("change", () => {
      for (const other of all("select.network")) other.value = select.value;
      for (const place of all(".chart[data-chart].js-plotly-plot")) show(place);
    });
  }
  async function open(network, sample) {
    const { samples } = await data("opened");
    const [key] = Object.entries(samples).find(([, one]) => one.sample === sample && network in one.scores);
    location.hash = `sample-${key}`;
  }

  /* Chapters: one at a time, by the address */

  const pages = all("main > .page");
  function go() {
    const id = decodeURIComponent(location.hash.slice(1));
    const key = id.startsWith("sample-") ? id.slice(7) : null;
    const target = (key && get("samples")) || get(id) || pages[0];
    const page = target?.closest(".page") ?? pages[0];
    if (!page) return;
    for (const other of pages) other.classList.toggle("shown", other === page);
    for (const link of all("nav a")) {
      const here = link.hash === `#${page.id}`;
      if (here) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
      if (here) link.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    openSample(key);
    if (target === page && !key) scrollTo(0, 0);
    else if (!key) target.scrollIntoView();
    drawCharts(page);
  }
  addEventListener("hashchange", go);

  for (const control of all("[data-folds]")) {
    control.addEventListener("click", () => {
      for (const fold of all("#claims details.fold")) fold.open = control.dataset.folds === "open";
    });
  }

  /* Enlarging */

  const dialog = get("enlarged");
  function enlarge(title, ...content) {
    dialog.querySelector(".dialog-bar span").replaceChildren(...title);
    dialog.querySelector(".content").replaceChildren(...content);
    dialog.showModal();
    dialog.scrollTop = 0;
  }
  for (const control of all(".enlarge")) {
    control.addEventListener("click", () => {
      const figure = control.closest("figure");
      const picture = control.querySelector("img");
      const links = [...figure.querySelectorAll("figcaption a")].flatMap((link) => [" ", link.cloneNode(true)]);
      enlarge([picture.alt, ".", ...links], element("img", { src: picture.src, alt: picture.alt, class: "wide" }));
    });
  }
  if (dialog) {
    dialog.querySelector(".close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }

  /* Samples */

  const keys = all(".thumb").map((thumb) => thumb.dataset.key);
  const here = () => keys.indexOf(decodeURIComponent(location.hash.slice(8)));
  function step(by) {
    location.hash = `sample-${keys[(here() + by + keys.length) % keys.length]}`;
  }
  function shut() {
    const key = keys[here()];
    location.hash = "samples";
    document.querySelector(`.thumb[data-key="${key}"]`)?.focus();
  }
  addEventListener("keydown", (event) => {
    const busy = dialog?.open || event.target.matches("select");
    const scrolls = event.key !== "Escape" && event.target.closest(".draws, .scroll");
    if (busy || scrolls || event.altKey || event.ctrlKey || event.metaKey || !location.hash.startsWith("#sample-")) return;
    if (event.key === "ArrowRight") step(1);
    else if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "Escape") shut();
    else return;
    event.preventDefault();
  });
  async function openSample(key) {
    const place = get("sample");
    if (!place) return;
    for (const thumb of all(".thumb")) {
      if (thumb.dataset.key === key) thumb.setAttribute("aria-current", "true");
      else thumb.removeAttribute("aria-current");
    }
    place.hidden = !keys.includes(key);
    if (place.hidden) return;
    const opened = await data("opened");
    const sample = opened.samples[key];
    const networks = Object.keys(sample.scores);
    const select = element("select", { "aria-label": "Network" }, ...networks.map((name) => element("option", {}, name)));
    const control = (text, label, act) => {
      const made = element("button", { type: "button", "aria-label": label }, text);
      made.addEventListener("click", act);
      return made;
    };
    const thumbnail = document.querySelector(`.thumb[data-key="${key}"] img`).src;
    const source = sample.clean ?? thumbnail;
    const chart = element("div", { class: "chart small" });
    const strips = element("div");
    place.replaceChildren(
      element(
        "div",
        { class: "sample-bar" },
        element("h2", {}, `${sample.image}, class ${sample.label}`),
        select,
        control("←", "Previous sample", () => step(-1)),
        control("→", "Next sample", () => step(1)),
        control("Close", "Close the sample", shut),
      ),
      element(
        "div",
        { class: "sample-top" },
        element("img", { src: source, alt: sample.image, class: "pixelated" }),
        chart,
      ),
      strips,
    );
    const fill = async () => {
      strips.replaceChildren(...strip(sample, select.value, opened, source));
      await draw(chart, lines(sample.scores[select.value], opened), scoreLayout(opened));
    };
    select.addEventListener("change", fill);
    place.focus({ preventScroll: true });
    place.scrollIntoView();
    place.dataset.key = "";
    await fill();
    place.dataset.key = key;
  }
  const named = (radius, opened) => (radius === opened.epsilon ? "ε" : number(radius));
  function lines(scores, opened) {
    const radii = opened.radii.map((radius) => named(radius, opened));
    const kinds = { isotropy: ["draws", "#3b8fd4", "rgba(59,143,212,.2)"], symmetry: ["permutations", "#e0701a", "rgba(224,112,26,.2)"] };
    return Object.entries(scores).flatMap(([probe, values]) => {
      const [name, color, fillcolor] = kinds[probe];
      const common = { x: radii, type: "scatter", mode: "lines", legendgroup: probe, line: { color, width: 0 } };
      return [
        { ...common, y: values.score_max, showlegend: false, hovertemplate: "highest %{y:.3~g}<extra></extra>" },
        { ...common, y: values.score_min, fill: "tonexty", fillcolor, showlegend: false, hovertemplate: "lowest %{y:.3~g}<extra></extra>" },
        {
          ...common,
          y: values.score_mean,
          mode: "lines+markers",
          name,
          line: { color, width: 2 },
          customdata: values.misclassified,
          hovertemplate: `mean of ${name} %{y:.3~g}<br>misclassified %{customdata:.0%}<extra></extra>`,
        },
      ];
    });
  }
  function scoreLayout() {
    return {
      autosize: true,
      margin: { l: 60, r: 12, t: 12, b: 56 },
      font: { family: "system-ui, sans-serif", size: 13 },
      hovermode: "closest",
      xaxis: { title: { text: "radius r", standoff: 6 }, type: "category", showgrid: false },
      yaxis: { title: { text: "score" }, range: [-0.03, 1.03], zeroline: false },
      legend: { orientation: "h", y: 1, yanchor: "bottom", x: 0 },
    };
  }
  function strip(sample, network, opened, source) {
    if (!sample.draws) return [element("p", { class: "dim" }, "The draws of this sample are left out to keep the page small.")];
    const titles = { isotropy: "At each radius the draw of lowest score", symmetry: "The same of permutations of one perturbation" };
    return Object.entries(titles).flatMap(([probe, title]) => {
      const draws = sample.draws.filter((draw) => draw.network === network && draw.probe === probe);
      const buttons = draws.map((draw) => {
        const picture = sample.pictures[draw.picture];
        const words = `r = ${named(draw.radius, opened)}, score ${score(draw.score)}: ${draw.wrong ? `class ${draw.prediction} ✗` : "right"}`;
        const made = element(
          "button",
          { type: "button", class: draw.wrong ? "wrong" : "right", "aria-label": `Enlarge: ${words}` },
          element("img", { src: picture, alt: "", class: "pixelated" }),
          `r = ${named(draw.radius, opened)}: ${score(draw.score)}`,
          element("br"),
          draw.wrong ? element("b", {}, `✗ class ${draw.prediction}`) : "✓ right",
        );
        made.addEventListener("click", () => beside(sample, draw, picture, source, words));
        return made;
      });
      return buttons.length ? [element("h3", {}, title), element("div", { class: "draws" }, ...buttons)] : [];
    });
  }
  async function beside(sample, draw, picture, source, words) {
    const [factor, canvas] = await difference(source, picture);
    const pixels = sample.lossless ? "8-bit pixels" : "compressed pictures, so small ones are mostly what compression left";
    const third = `Difference of the ${pixels}, × ${number(factor)}, around grey`;
    const part = (content, text) => element("figure", {}, content, element("figcaption", {}, text));
    enlarge(
      [`${draw.network}, draw ${draw.draw}`],
      element(
        "div",
        { class: "three" },
        part(element("img", { src: source, alt: "clean image", class: "pixelated" }), `Clean: class ${sample.label}, score ${score(sample.clean_scores[draw.network])}`),
        part(element("img", { src: picture, alt: "perturbed image", class: `pixelated${draw.wrong ? " wrong" : ""}` }), `Perturbed: ${words}`),
        part(canvas, third),
      ),
    );
  }
  async function difference(one, other) {
    const [before, after] = await Promise.all([one, other].map(pixelsOf));
    const most = after.data.reduce((found, value, place) => Math.max(found, Math.abs(value - before.data[place])), 0);
    const factor = 127 / Math.max(most, 1);
    for (let place = 0; place < after.data.length; place += 1) {
      if (place % 4 < 3) after.data[place] = 128 + factor * (after.data[place] - before.data[place]);
    }
    const canvas = element("canvas", { width: after.width, height: after.height, class: "pixelated", role: "img", "aria-label": "difference" });
    canvas.getContext("2d").putImageData(after, 0, 0);
    return [factor, canvas];
  }
  async function pixelsOf(source) {
    const picture = new Image();
    picture.src = source;
    await picture.decode();
    const { naturalWidth: width, naturalHeight: height } = picture;
    const context = element("canvas", { width, height }).getContext("2d", { willReadFrequently: true });
    context.drawImage(picture, 0, 0);
    return context.getImageData(0, 0, width, height);
  }

  themed();
  go();
})();
