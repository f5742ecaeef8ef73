"""A graph as a page to look around in: one file, no network, no library."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING

from tinynet.viz.graphs import svg, texts

if TYPE_CHECKING:
    from tinynet.viz.graphs.model import Graph

STYLE = """
html, body { margin: 0; height: 100%; font: 13px Helvetica, Arial, sans-serif; color: #111; }
body { display: flex; flex-direction: column; background: #fff; }
header { display: flex; flex-wrap: wrap; gap: 6px 14px; align-items: center; padding: 6px 10px;
  border-bottom: 1px solid #ccc; }
h1 { font-size: 14px; margin: 0; } #counts, #found { color: #444; }
#search { font: inherit; padding: 2px 6px; width: 13em; }
button { font: inherit; min-width: 2em; } .key { padding: 1px 6px; border: 1px solid; }
#stage { flex: 1; min-height: 0; overflow: hidden; touch-action: none; cursor: grab; }
#stage:active { cursor: grabbing; }
#drawing { width: 100%; height: 100%; display: block; user-select: none; }
.vertex rect { stroke-width: 1.2; }
.vertex.near rect { stroke-width: 3; } .edge.near { stroke: #000; stroke-width: 2; }
.searching .vertex:not(.match) { opacity: 0.25; } .vertex.match rect { stroke-width: 3; }
.far text { display: none; } .far .edge { marker-end: none; }
#tip { position: fixed; display: none; max-width: 32em; padding: 6px 9px; pointer-events: none;
  background: #222; color: #fff; border-radius: 4px; white-space: pre-wrap; font-size: 12px; }
"""

SCRIPT = """
"use strict";
const facts = JSON.parse(document.getElementById("facts").textContent);
const drawing = document.getElementById("drawing"), view = document.getElementById("view");
const stage = document.getElementById("stage"), tip = document.getElementById("tip");
const search = document.getElementById("search"), found = document.getElementById("found");
const vertices = [...document.querySelectorAll(".vertex")];
const edges = [...document.querySelectorAll(".edge")];
const box = drawing.viewBox.baseVal, width = box.width, height = box.height;
let scale = 1, x = 0, y = 0;  // the view: drawn = scale * place + (x, y), in pixels
let isMoved = false;

const boxes = [...vertices, ...edges].map(element => {
  const {x, y, width, height} = element.getBBox();
  return {element, left: x, top: y, right: x + width, bottom: y + height, isShown: true};
});
function cull() {  // what is out of sight takes time to draw all the same
  const left = -x / scale - 40, right = left + stage.clientWidth / scale + 80;
  const top = -y / scale - 40, bottom = top + stage.clientHeight / scale + 80;
  for (const box of boxes) {
    const is = box.right > left && box.left < right && box.bottom > top && box.top < bottom;
    if (is === box.isShown) continue;
    box.isShown = is;
    box.element.style.display = is ? "" : "none";
  }
}
function show() {
  cull();
  drawing.setAttribute("viewBox", `0 0 ${stage.clientWidth} ${stage.clientHeight}`);
  view.setAttribute("transform", `translate(${x} ${y}) scale(${scale})`);
  stage.classList.toggle("far", scale < 0.2);  // too small to read, and what takes time to draw
  drawing.dataset.view = [scale, x, y].map(n => n.toFixed(3)).join(" ");
}
function fit() {
  scale = Math.min(stage.clientWidth / width, stage.clientHeight / height, 1.5);
  x = (stage.clientWidth - scale * width) / 2;
  y = (stage.clientHeight - scale * height) / 2;
  show();
}
function start() {  // all of it, or the top where that would be too small to read
  fit();
  if (scale > 0.45) return;
  scale = 0.8;
  const first = vertices[0].querySelector("rect");
  const middle = +first.getAttribute("x") + first.getAttribute("width") / 2;
  const room = stage.clientWidth - scale * width;
  x = room > 0 ? room / 2 : stage.clientWidth / 2 - scale * middle;
  y = 0;
  show();
}
function zoom(factor, cx = stage.clientWidth / 2, cy = stage.clientHeight / 2) {
  const next = Math.min(Math.max(scale * factor, 0.005), 20);
  x = cx - (cx - x) * next / scale;
  y = cy - (cy - y) * next / scale;
  scale = next;
  isMoved = true;
  show();
}
function pan(dx, dy) { x += dx; y += dy; isMoved = true; show(); }
function at(event) {
  const frame = stage.getBoundingClientRect();
  return [event.clientX - frame.left, event.clientY - frame.top];
}

stage.addEventListener("wheel", event => {
  event.preventDefault();
  const lines = event.deltaMode === 1 ? 16 : 1;
  zoom(Math.exp(-event.deltaY * lines * 0.002), ...at(event));
}, {passive: false});

const held = new Map();  // pointers that are down: the mouse, or fingers
stage.addEventListener("pointerdown", event => {
  held.set(event.pointerId, at(event));
  stage.setPointerCapture(event.pointerId);
});
for (const name of ["pointerup", "pointercancel"])
  stage.addEventListener(name, event => held.delete(event.pointerId));
stage.addEventListener("pointermove", event => {
  const before = held.get(event.pointerId), now = at(event);
  if (!before) return;
  hide();
  const other = [...held].find(([id]) => id !== event.pointerId);
  if (other) {
    const [ox, oy] = other[1];
    const far = p => Math.max(Math.hypot(p[0] - ox, p[1] - oy), 1);
    zoom(far(now) / far(before), ox, oy);
  } else pan(now[0] - before[0], now[1] - before[1]);
  held.set(event.pointerId, now);
});
stage.addEventListener("dblclick", event => zoom(2, ...at(event)));

const keys = {
  ArrowLeft: () => pan(60, 0), ArrowRight: () => pan(-60, 0),
  ArrowUp: () => pan(0, 60), ArrowDown: () => pan(0, -60),
  "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), 0: fit,
  "/": () => { search.focus(); search.select(); },
};
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.activeElement === search) {
    if (event.key === "Escape") { search.value = ""; look(); search.blur(); }
    if (event.key === "Enter") next(event.shiftKey ? -1 : 1);
    return;
  }
  if (!(event.key in keys)) return;
  event.preventDefault();
  keys[event.key]();
});
document.getElementById("in").onclick = () => zoom(1.25);
document.getElementById("out").onclick = () => zoom(0.8);
document.getElementById("all").onclick = fit;

let matches = [], current = -1;
function look() {
  const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
  const fits = n => words.every(word => facts[n].search.includes(word));
  matches = words.length ? vertices.filter((_, n) => fits(n)) : [];
  current = -1;
  vertices.forEach(vertex => vertex.classList.toggle("match", matches.includes(vertex)));
  stage.classList.toggle("searching", words.length > 0);
  found.textContent = words.length ? `${matches.length} found` : "";
}
function next(step) {
  if (!matches.length) return;
  current = (current + step + matches.length) % matches.length;
  const place = matches[current].querySelector("rect"), n = key => +place.getAttribute(key);
  scale = Math.max(scale, 1);
  isMoved = true;
  x = stage.clientWidth / 2 - scale * (n("x") + n("width") / 2);
  y = stage.clientHeight / 2 - scale * (n("y") + n("height") / 2);
  show();
  found.textContent = `${current + 1} of ${matches.length}`;
}
search.addEventListener("input", look);

function near(number, is) {
  vertices[number].classList.toggle("near", is);
  for (const edge of edges)
    if (+edge.dataset.from === number || +edge.dataset.to === number)
      edge.classList.toggle("near", is);
}
function hide() { tip.style.display = "none"; }
vertices.forEach((vertex, number) => {
  vertex.addEventListener("pointerenter", event => {
    near(number, true);
    tip.textContent = facts[number].tip;
    tip.style.display = "block";
    const right = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 4);
    const low = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 4);
    tip.style.left = Math.max(right, 0) + "px";
    tip.style.top = Math.max(low, 0) + "px";
  });
  vertex.addEventListener("pointerleave", () => { near(number, false); hide(); });
});
addEventListener("resize", () => isMoved ? show() : start());
start();
"""


def write(graph: Graph) -> str:
    """The page."""
    title = html.escape(texts.printable(graph.title))
    drawing = "\n".join(svg.elements(graph, standalone=False))
    facts = json.dumps([_facts(graph, i) for i in range(len(graph))])
    facts = facts.replace("<", "\\u003c")  # so that no name ends the script
    kinds = [kind for kind in texts.COLOURS if graph.count(kind)]
    keys = "".join(
        f'<span class="key" style="background:{texts.COLOURS[kind][0]};'
        f'border-color:{texts.COLOURS[kind][1]}">{kind}</span>'
        for kind in kinds
    )
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{STYLE}</style></head><body>
<header><h1>{title}</h1><span id="counts">{texts.counts(graph)}</span>
<input id="search" type="search" placeholder="search ( / )" aria-label="search">
<span id="found" role="status"></span>
<span><button id="out" title="zoom out ( - )">-</button>
<button id="in" title="zoom in ( + )">+</button>
<button id="all" title="show all ( 0 )">all</button></span>
<span>{keys}</span></header>
<div id="stage" tabindex="0">{drawing}</div><div id="tip" role="tooltip"></div>
<script type="application/json" id="facts">{facts}</script>
<script>{SCRIPT}</script></body></html>
"""


def _facts(graph: Graph, number: int) -> dict[str, str]:
    """What the page's script knows of a vertex: its tooltip, and what a search looks at."""
    vertex = graph.vertices[number]
    lines = [f"{key}: {value}" for key, value in vertex.details] or [vertex.label, vertex.note]
    words = (vertex.name, vertex.label, vertex.note, vertex.kind, vertex.group, *lines)
    return {"tip": "\n".join(lines), "search": " ".join(words).lower()}
