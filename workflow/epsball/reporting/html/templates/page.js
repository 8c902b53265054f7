"use strict";
/* Every page. The style sheet switches to light or dark, and shows the chapter that the address names. */

const get = (id) => document.getElementById(id);
const all = (selector) => [...document.querySelectorAll(selector)];

function currentPage() {
  return get(decodeURIComponent(location.hash.slice(1)))?.closest(".page") ?? document.querySelector(".page");
}

function markCurrent(links, current, kind) {
  for (const link of links) link.ariaCurrent = link === current ? kind : null; // null removes the attribute
}

function markCurrentTab() {
  const tabs = all("nav a");
  const tab = tabs.find((link) => link.hash === `#${currentPage().id}`);
  markCurrent(tabs, tab, "page");
  tab.scrollIntoView({ block: "nearest", inline: "nearest" });
}

const theme = get("theme");
try {
  theme.value = localStorage.getItem("epsball-theme") ?? "";
  theme.addEventListener("change", () => localStorage.setItem("epsball-theme", theme.value));
} catch {
  // A browser may refuse storage to a file: the choice then lasts for this page.
}
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names the chapter
  get("main").focus();
});
addEventListener("hashchange", markCurrentTab);
markCurrentTab();
