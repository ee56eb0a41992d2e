// What /state.json says (src/serve/board.h), drawn. Texts come from clients: they become text, never
// markup.
"use strict";

const POLL_MS = 300;
const CALLS = 256;
const STAGES = ["queue", "preprocess", "vision", "prefix", "denoise", "other"];

const SVG = new Set(["svg", "g", "line", "rect", "polyline", "text", "title"]);

// `since`: the last call of which all is known; 0: all is to be told anew.
const seen = {instance: 0, since: 0, calls: [], client: 0, left: false, chunks: []};
let chosen = 0;  // a client; 0: the one who is shown as long as it stays, then who called last
let held = false;

const at = (id) => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  const made = SVG.has(name) ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function number(value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  return String(Number(value.toPrecision(digits))).replace("-", "−");
}
const ms = (value) => value === undefined ? "" : value.toFixed(value < 100 ? 1 : 0);

function ago(milliseconds) {
  const s = Math.max(0, milliseconds) / 1000;
  if (s < 2) return "now";
  return s < 120 ? `${Math.round(s)} s ago` : `${Math.round(s / 60)} min ago`;
}

// Rows are used again, so that a press on one finds it still there.
function fillRows(body, lines) {
  while (body.rows.length > lines.length) body.deleteRow(-1);
  lines.forEach((line, i) => {
    const row = body.rows[i] || body.insertRow();
    row.className = line.className || "";
    line.cells.forEach((text, j) => {
      const cell = row.cells[j] || row.insertCell();
      say(cell.querySelector("button, span") || cell, text);
    });
    if (line.wide !== undefined) row.cells[line.wide].className = "wide";
  });
}

function drawServer(state) {
  const server = state.server;
  const ready = at("ready");
  say(ready, server.state);
  ready.className = "pill " + server.state;
  say(at("server"), `${server.kind} · robot ${server.robot} · ${server.devices.filter(Boolean).join(", ")}`);
  say(at("load"), `${server.clients} connected · ${server.computing} computing · ${server.waiting} waiting`);
}

function drawRobot(client) {
  at("robot").hidden = !client || !client.cameras;
  if (at("robot").hidden) return;
  say(at("client"), `Client ${client.id}, ${client.peer}${client.left ? ", has left" : ""}`);
  say(at("prompt"), client.prompt ? `“${client.prompt}”` : "(an empty prompt)");
  say(at("robot_state"), `State ${client.state.map((x) => number(x)).join("  ")}`);
  const cameras = at("cameras");
  while (cameras.children.length > client.cameras.length) cameras.lastChild.remove();
  client.cameras.forEach((camera, i) => {
    const figure = cameras.children[i] ||
      cameras.appendChild(element("figure", {}, element("img"), element("figcaption")));
    const image = figure.firstChild;
    const source = `/image/${client.id}/${i}?n=${client.last_call}`;
    // One at a time: what a slow link cannot carry is left out.
    if (image.getAttribute("src") !== source && (image.complete || !image.src)) {
      image.src = source;
    }
    image.alt = camera.name;
    say(figure.lastChild, `${camera.name} ${camera.width} × ${camera.height}`);
  });
}

// Where the last chunk lies among the rows of the one before: observed at `observed`, its row 0 at
// `from`, the first of it to go out at `seam`. `began`: the first of the one before that went out.
function place(chunks) {
  const last = chunks[chunks.length - 1];
  if (!last.seam || chunks.length < 2) return {last, before: null, from: 0, steps: last.actions.length};
  const before = chunks[0], {executed, delay, row} = last.seam;
  const from = executed + delay - row;
  return {last, before, observed: executed, seam: executed + delay, from,
    began: before.seam ? before.seam.row : 0,
    steps: Math.max(from + last.actions.length, before.actions.length)};
}

function drawChunk(chunks) {
  at("chunk").hidden = chunks.length === 0;
  if (chunks.length === 0) return;
  const placed = place(chunks);
  const {last, before} = placed;
  say(at("chunk_says"), before
    ? `Call ${last.call} goes on from call ${before.call}: ${last.seam.executed} of its rows had gone by at the ` +
      `observation, ${last.seam.delay} more go out until the new chunk is there.`
    : `Call ${last.call} goes on from no chunk. Of its ${last.actions.length} rows the checkpoint's ` +
      `robot executes ${last.n_action_steps}.`);
  const legend = before
    ? [["gone", "executed"], ["rest", "left of the chunk before"], ["guided", "new, too late to go out"],
       ["new", "new"], ["seam", "seam"]]
    : [["new", "chunk"], ["stops", "the last that is executed"]];
  if (last.ranges.some(Boolean)) legend.push(["limit", "usual in training"]);
  at("chunk_legend").replaceChildren(...legend.map(([kind, text]) => {
    const line = kind === "seam" || kind === "stops"
      ? element("line", {x1: 13, x2: 13, y1: 0, y2: 10, class: kind})
      : element("polyline", {points: "1,5 25,5", class: kind === "limit" ? kind : "curve " + kind});
    return element("li", {}, element("svg", {viewBox: "0 0 26 10"}, line), text);
  }));
  const dims = last.actions[0].length;
  at("joints").replaceChildren(...Array.from({length: dims}, (_, joint) => drawJoint(placed, joint)));
}

function drawJoint({last, before, observed, seam, from, began, steps}, joint) {
  const W = 300, H = 104, LEFT = 54, TOP = 6, BOTTOM = 16;
  const column = (chunk) => chunk.actions.map((row) => row[joint]);
  const fresh = column(last), old = before ? column(before) : [];
  const range = last.ranges[joint];
  let low = Math.min(...fresh, ...old), high = Math.max(...fresh, ...old);
  const least = range ? (range[1] - range[0]) * 0.05 : Math.max(1e-3, Math.abs(high) * 1e-2);
  if (high - low < least) [low, high] = [(low + high - least) / 2, (low + high + least) / 2];
  const margin = (high - low) * 0.08;
  low -= margin;
  high += margin;
  const x = (step) => LEFT + (W - LEFT - 4) * step / Math.max(1, steps - 1);
  const y = (value) => TOP + (H - TOP - BOTTOM) * (high - value) / (high - low);
  const svg = element("svg", {viewBox: `0 0 ${W} ${H}`, role: "img"});
  const curve = (kind, values, zero, first, end) => {
    const points = [];
    for (let i = Math.max(0, first); i < Math.min(end, values.length); ++i) {
      points.push(`${x(zero + i).toFixed(1)},${y(values[i]).toFixed(1)}`);
    }
    if (points.length === 1) points.push(points[0]);  // a dot
    if (points.length) svg.append(element("polyline", {points: points.join(" "), class: "curve " + kind}));
  };
  const upright = (kind, step) =>
    svg.append(element("line", {x1: x(step), x2: x(step), y1: TOP, y2: H - BOTTOM, class: kind}));

  if (before && seam > observed) {
    svg.append(element("rect", {x: x(observed), y: TOP, width: x(seam) - x(observed),
      height: H - TOP - BOTTOM, class: "computing"}));
  }
  for (const value of [low + margin, high - margin]) {
    svg.append(element("line", {x1: LEFT, x2: W - 4, y1: y(value), y2: y(value), class: "axis"}),
      element("text", {x: LEFT - 5, y: y(value) + 4, "text-anchor": "end"}, number(value)));
  }
  for (const step of [0, steps - 1]) {
    svg.append(element("text", {x: x(step), y: H - 3, "text-anchor": step ? "end" : "start"}, String(step)));
  }
  for (const limit of range || []) {
    if (limit > low && limit < high) {
      svg.append(element("line", {x1: LEFT, x2: W - 4, y1: y(limit), y2: y(limit), class: "limit"}));
    }
  }
  if (before) {
    curve("rest", old, 0, seam - 1, old.length);
    curve("gone", old, 0, began, seam);
    curve("guided", fresh, from, 0, seam - from + 1);
    curve("new", fresh, from, seam - from, fresh.length);
    upright("seam", seam);
  } else {
    curve("new", fresh, 0, 0, fresh.length);
    if (last.n_action_steps < fresh.length) upright("stops", last.n_action_steps - 1);
  }
  const name = last.names[joint] || `action ${joint}`;
  svg.append(element("title", {}, name));
  const said = before
    ? `jump ${number(last.seam.jump[joint], 2)}, velocity ${number(last.seam.velocity_change[joint], 2)}` : "";
  return element("div", {class: "joint"},
    element("h3", {}, element("span", {}, name), element("span", {}, said)), svg);
}

function stagesOf(call) {
  const stages = {queue: call.queue, ...call.stages};
  stages.other = Math.max(0, call.total - Object.values(stages).reduce((sum, one) => sum + one, 0));
  return stages;
}

function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil(share * sorted.length) - 1];
}

function niceStep(most) {
  const power = 10 ** Math.floor(Math.log10(most / 3));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => most / step <= 4);
}

function drawLatency(calls, now) {
  at("latency").hidden = calls.length === 0;
  if (calls.length === 0) return;
  const W = Math.max(240, at("bars").clientWidth), H = 170, LEFT = 40, TOP = 8, BOTTOM = 18;
  const slots = Math.floor((W - LEFT) / 6);
  const shown = calls.slice(-slots);
  const fine = shown.filter((call) => call.outcome === "ok");
  const totals = fine.map((call) => call.total);
  // A few that took very long do not hide the others: their bars are cut.
  const most = 1.05 * Math.max(1, Math.min(Math.max(0, ...totals), 5 * (quantile(totals, 0.5) || 0)));
  const y = (value) => TOP + (H - TOP - BOTTOM) * (1 - value / most);
  const svg = element("svg", {viewBox: `0 0 ${W} ${H}`, role: "img"});
  const step = niceStep(most);
  for (let value = 0; value <= most; value += step) {
    svg.append(element("line", {x1: LEFT, x2: W, y1: y(value), y2: y(value), class: "axis"}),
      element("text", {x: LEFT - 6, y: y(value) + 4, "text-anchor": "end"}, `${number(value)}`));
  }
  shown.forEach((call, i) => {
    const bar = element("g");
    const place = {x: LEFT + (i + slots - shown.length) * 6 + 1, width: 4};
    if (call.outcome === "ok") {
      let below = 0;
      for (const [stage, took] of Object.entries(stagesOf(call))) {
        const top = y(Math.min(most, below + took));
        bar.append(element("rect", {...place, y: top, height: y(Math.min(most, below)) - top, class: stage}));
        below += took;
      }
      if (call.total > most) bar.append(element("rect", {...place, y: TOP - 5, height: 3, class: "failed"}));
    } else {
      bar.append(element("rect", {...place, y: y(0) - 6, height: 6, class: "failed"}));
    }
    bar.append(element("title", {}, `call ${call.number}, client ${call.client}: ${ms(call.total)} ms, ${call.outcome}`));
    svg.append(bar);
  });
  const first = LEFT + (slots - shown.length) * 6;
  svg.append(element("text", {x: Math.min(first, W - 90), y: H - 3}, ago(now - shown[0].at)),
    element("text", {x: W, y: H - 3, "text-anchor": "end"}, ago(now - shown[shown.length - 1].at)));
  at("bars").replaceChildren(svg);

  const body = at("stages");
  if (body.rows.length === 0) {
    for (const stage of [...STAGES, "total"]) {
      const key = stage === "total" ? [] : [element("svg", {viewBox: "0 0 10 10"},
        element("rect", {width: 10, height: 10, rx: 2, class: stage}))];
      body.insertRow().insertCell().append(...key, element("span", {}, stage));
    }
  }
  const times = fine.map((call) => ({...stagesOf(call), total: call.total}));
  fillRows(body, [...STAGES, "total"].map((stage) => {
    const values = times.map((time) => time[stage]);
    return {cells: [stage, ms(values[values.length - 1]), ms(quantile(values, 0.5)), ms(quantile(values, 0.95))]};
  }));
}

function drawClients(state) {
  const clients = [...state.clients].sort((a, b) => a.left - b.left || a.id - b.id);
  at("clients").hidden = clients.length === 0;
  const body = at("client_rows");
  while (body.rows.length < clients.length) {
    const button = element("button", {type: "button"});
    button.addEventListener("click", () => {
      const id = Number(button.textContent);
      chosen = chosen === id ? 0 : id;
      poll();
    });
    body.insertRow().insertCell().append(button);
  }
  fillRows(body, clients.map((client) => ({
    className: client.id === state.client ? "chosen" : "",
    cells: [String(client.id), client.peer, String(client.calls),
      (client.left ? "left, " : "") + ago(state.now - client.heard), client.prompt || ""],
    wide: 4,
  })));
  [...body.rows].forEach((row, i) =>
    row.querySelector("button").setAttribute("aria-pressed", String(clients[i].id === chosen)));
}

function drawCalls(calls, devices) {
  at("calls").hidden = calls.length === 0;
  fillRows(at("call_rows"), calls.slice(-12).reverse().map((call) => ({
    className: call.outcome === "ok" ? "" : "bad",
    cells: [String(call.number), String(call.client), ms(call.total), ms(call.queue),
      call.executed === undefined ? "" : String(call.executed), call.delay === undefined ? "" : String(call.delay),
      [call.batch ? `ok, a batch of ${call.batch}` : call.outcome, call.sentence || (devices > 1 && call.device)]
        .filter(Boolean).join(": ")],
    wide: 6,
  })));
}

function take(state) {
  if (state.instance !== seen.instance && seen.since !== 0) {  // another server: its numbers begin anew
    seen.since = 0;
    return;
  }
  seen.instance = state.instance;
  seen.calls = (seen.since === 0 ? [] : seen.calls).concat(state.calls).slice(-CALLS);
  seen.since = state.last_call;
  const client = state.clients.find((one) => one.id === state.client);
  const turned = seen.client !== (client ? client.id : 0);
  Object.assign(seen, {client: client ? client.id : 0, left: !client || client.left});
  if (turned && !state.chunks) seen.since = 0;  // its chunks are of calls that were told already
  const changed = turned || state.chunks;
  if (changed) seen.chunks = state.chunks || [];
  at("nobody").hidden = seen.calls.length !== 0;
  drawServer(state);
  drawRobot(client);
  if (changed) drawChunk(seen.chunks);
  drawLatency(seen.calls, state.now);
  drawClients(state);
  drawCalls(seen.calls, state.server.devices.length);
}

let timer = 0, asking = false, heardAt = new Date();

async function poll() {
  clearTimeout(timer);
  if (asking || held || document.hidden) return;
  asking = true;
  let wait = POLL_MS;
  try {
    const answer = await fetch(`/state.json?since=${seen.since}&client=${chosen || (seen.left ? 0 : seen.client)}`);
    if (!answer.ok) throw new Error((await answer.text()).trim());
    take(await answer.json());
    heardAt = new Date();
    at("lost").hidden = true;
  } catch (error) {
    wait = 2000;
    say(at("lost"), `No answer since ${heardAt.toLocaleTimeString()}: ${error.message}`);
    at("lost").hidden = false;
  }
  asking = false;
  timer = setTimeout(poll, wait);
}

at("hold").addEventListener("click", () => {
  held = !held;
  at("hold").setAttribute("aria-pressed", String(held));
  poll();
});
document.addEventListener("visibilitychange", poll);
poll();
