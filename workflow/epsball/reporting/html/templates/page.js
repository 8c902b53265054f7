"use strict";
/* Every page. The style sheet switches to light or dark, and shows the chapter that the address names. */

const get = (id) => document.getElementById(id);
const all = (selector) => [...document.querySelectorAll(selector)];

function rememberTheme(select) {
  try {
    select.value = localStorage.getItem("epsball-theme") ?? "";
    select.addEventListener("change", () => localStorage.setItem("epsball-theme", select.value));
  } catch {
    // A browser may refuse storage to a file: the choice then lasts for this page.
  }
}

function currentPage() {
  return get(decodeURIComponent(location.hash.slice(1)))?.closest(".page") ?? document.querySelector(".page");
}

function markCurrent(links, current, kind) {
  for (const link of links) {
    if (link === current) link.setAttribute("aria-current", kind);
    else link.removeAttribute("aria-current");
  }
}

function markCurrentTab() {
  const tabs = all("nav a");
  const tab = tabs.find((link) => link.hash === `#${currentPage().id}`);
  markCurrent(tabs, tab, "page");
  tab.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function skipToContent(event) {
  event.preventDefault(); // the address names the chapter
  get("main").focus();
}

rememberTheme(get("theme"));
document.querySelector(".skip").addEventListener("click", skipToContent);
addEventListener("hashchange", markCurrentTab);
markCurrentTab();
