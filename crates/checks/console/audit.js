// What a page must have for people who see little, hear it read, or use no mouse. Returns faults as
// sentences; after the rules of WCAG 2.2 level AA (https://www.w3.org/TR/WCAG22/, read 2026-11).
const faults = [];
const say = (what, element) => {
  const tag = element ? `<${element.tagName.toLowerCase()} ${[...element.attributes].slice(0, 3).map((a) => `${a.name}="${a.value.slice(0, 40)}"`).join(" ")}>` : "";
  const text = element ? (element.textContent || "").trim().replace(/\s+/g, " ").slice(0, 40) : "";
  faults.push(`${what}: ${tag} ${text}`);
};
const seen = (element) => element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
const referred = (element, name) => (element.getAttribute(name) || "").split(/\s+/).filter(Boolean);

// Names
const nameOf = (element) => {
  const by = referred(element, "aria-labelledby").map((id) => document.getElementById(id)?.textContent).join(" ");
  const labels = element.labels ? [...element.labels].map((label) => label.textContent).join(" ") : "";
  return (by || element.getAttribute("aria-label") || labels || element.textContent || element.getAttribute("title") || "").trim();
};
for (const element of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
  const labelled = element.labels?.length || element.getAttribute("aria-label") || element.getAttribute("aria-labelledby");
  if (!labelled) say("a field has no label", element);
}
for (const element of document.querySelectorAll("a[href], button, summary")) {
  if (!nameOf(element)) say("a control has no name", element);
}
for (const element of document.querySelectorAll("[role=img], img")) {
  if (!(element.getAttribute("aria-label") || element.getAttribute("alt"))) say("a drawing has no words", element);
}
for (const element of document.querySelectorAll("svg:not([role=img])")) {
  if (element.getAttribute("aria-hidden") !== "true") say("a drawing is neither named nor hidden", element);
}
for (const element of document.querySelectorAll("[role=region], nav, [role=group], section")) {
  if (!element.getAttribute("aria-label") && !element.getAttribute("aria-labelledby") && element.getAttribute("role")) say("a region has no name", element);
}

// Structure
if (!document.documentElement.lang) say("the page has no language");
if (!document.title.trim()) say("the page has no title");
if (document.querySelectorAll("main").length !== 1) say("the page has not exactly one main part");
if (document.querySelectorAll("h1").length !== 1) say("the page has not exactly one first heading");
let level = 0;
for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
  const now = Number(heading.tagName[1]);
  if (now > level + 1) say("a level of headings is skipped", heading);
  level = now;
}
const ids = new Set();
for (const element of document.querySelectorAll("[id]")) {
  if (ids.has(element.id)) say("an id is there twice", element);
  ids.add(element.id);
}
for (const name of ["aria-labelledby", "aria-describedby", "for"]) {
  for (const element of document.querySelectorAll(`[${name}]`)) {
    for (const id of referred(element, name)) if (!ids.has(id)) say(`${name} leads nowhere`, element);
  }
}
for (const table of document.querySelectorAll("table")) {
  for (const head of table.querySelectorAll("th")) if (!head.scope) say("a head of a table has no scope", head);
  if (!table.querySelector("thead th")) say("a table has no heads", table);
}
for (const element of document.querySelectorAll("[tabindex]")) {
  if (Number(element.tabIndex) > 0) say("the order of the keyboard is changed", element);
}
for (const element of document.querySelectorAll(".scroll")) {
  if (element.scrollWidth > element.clientWidth && element.tabIndex < 0) say("a part that scrolls cannot be reached with the keyboard", element);
}
for (const element of document.querySelectorAll("[style], [onclick], script:not([src])")) say("a style or script is in the page", element);

// Contrast
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const rgba = (color) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = color;
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
};
const over = ([r, g, b, a], [r2, g2, b2]) => [r * a + r2 * (1 - a), g * a + g2 * (1 - a), b * a + b2 * (1 - a), 1];
const ground = (element) => {
  const layers = [];
  for (let one = element; one; one = one.parentElement) {
    const color = rgba(getComputedStyle(one).backgroundColor);
    if (color[3] > 0) layers.push(color);
    if (color[3] === 1) break;
  }
  return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
};
const light = ([r, g, b]) => {
  const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
};
const ratio = (a, b) => {
  const [hi, lo] = [light(a), light(b)].sort((x, y) => y - x);
  return (hi + 0.05) / (lo + 0.05);
};
let looked = 0;
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !seen(element) || element.closest("script, title, option, .unseen")) continue;
  const style = getComputedStyle(element);
  const back = ground(element);
  const got = ratio(over(rgba(style.color), back), back);
  const size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  looked += 1;
  if (got < (large ? 3 : 4.5) - 0.005) say(`the contrast is ${got.toFixed(2)}`, element);
}
for (const element of document.querySelectorAll("input[type=text], input[type=password], input[type=search], select")) {
  if (!seen(element)) continue;
  const got = ratio(rgba(getComputedStyle(element).borderTopColor), ground(element.parentElement));
  if (got < 3) say(`the edge of a field has a contrast of ${got.toFixed(2)}`, element);
}
if (looked < 3) say(`only ${looked} texts were looked at`);

// Place
const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
if (wide > 0) {
  const culprit = [...document.body.querySelectorAll("*")].find((one) => !one.closest(".scroll, pre, nav, .unseen, .skip") && seen(one) && one.getBoundingClientRect().right > document.documentElement.clientWidth + 1);
  say(`the page is ${wide} pixels too wide`, culprit);
}
for (const element of document.querySelectorAll("button, .button, select, input:not([type=hidden])")) {
  if (!seen(element) || element.closest(".unseen")) continue;
  const box = (element.closest("label") || element).getBoundingClientRect();
  if (box.height < 24 || box.width < 24) say(`a control is only ${Math.round(box.width)} by ${Math.round(box.height)}`, element);
}
return faults;
