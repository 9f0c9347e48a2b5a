'use strict';
// The page of `baton trace view`: step times, one step's work on every rank, one kernel on every rank.
const COLOURS = ['#3b6ea8', '#7fb3d8', '#d9822b', '#2f9e98', '#5a9a63', '#b0413e', '#a3567e', '#e0b84c', '#6d5fa8',
  '#8aa0b5', '#b9bfc7'];
const COMMUNICATION = ['dispatch', 'combine', 'collective'];
const RANK_COLOURS = ['#3b6ea8', '#d9822b', '#5a9a63', '#a3567e', '#4fb0ae', '#6d5fa8', '#9a6b45', '#e0b84c'];
const ROW = 46;
const byId = id => document.getElementById(id);
let overview, step, plot, picked = null, pickedLane = 0, histogram, stepIndex = 0, shown = null, asked = 0, timer = null;

const get = async path => {
  const reply = await fetch(path);
  if (!reply.ok) throw new Error(path + ' answered ' + reply.status);
  return reply.json();
};
const text = (tag, content) => {
  const element = document.createElement(tag);
  element.textContent = content;
  return element;
};
const width = () => Math.min(1240, document.body.clientWidth - 20);
const colour = r => RANK_COLOURS[r % RANK_COLOURS.length];
// What a test and a measurement wait for: how many pictures were drawn, and how long the last took from the wish to it.
const drawn = since => {
  document.body.dataset.drawn = 1 + Number(document.body.dataset.drawn || 0);
  document.body.dataset.millis = Math.round(performance.now() - since);
};

async function begin() {
  overview = await get('ranks');
  overview.verdict.forEach(s => byId('verdict').append(text('p', s)));
  overview.notes.forEach(s => { const n = text('div', s); n.className = 'note'; byId('notes').append(n); });
  overview.classes.forEach((name, c) => {
    const entry = text('span', name);
    const mark = document.createElement('i');
    mark.style.background = COLOURS[c];
    entry.prepend(mark);
    byId('legend').append(entry);
  });
  byId('step').max = overview.steps - 1;
  byId('of').textContent = 'of 0 to ' + (overview.steps - 1);
  byId('step').onchange = () => open(Math.max(0, Math.min(overview.steps - 1, Number(byId('step').value) || 0)));
  byId('whole').onclick = () => plot && plot.setScale('x', { min: 0, max: step.length });
  if (overview.steps > 1) {
    drawSteps();
  } else {
    byId('steps').append(text('p', 'One step only: ' + overview.ranks.map(r => 'rank ' + r.rank + ' '
      + (r.steps.length ? r.steps[0].ms.toFixed(2) + ' ms' : '-')).join(', ') + '.'));
  }
  if (overview.steps > 0) {
    const wanted = new URLSearchParams(location.hash.slice(1));
    await open(Number(wanted.get('step') || 0));
    if (wanted.get('kernel')) await pick(wanted.get('kernel'), -1);
  }
  document.body.dataset.ready = 'yes';
}

function drawSteps() {
  const most = Math.max(...overview.ranks.map(r => r.steps.length));
  const x = Array.from({ length: most }, (_, s) => s * overview.stride);
  const few = most < 40;
  const ranks = overview.ranks.slice(0, 64);
  const end = (most - 1) * overview.stride;
  const chart = new uPlot({
    width: width(), height: 200,
    scales: { x: { time: false, range: [-0.5, Math.max(0.5, end + 0.5)] }, y: { range: (u, low, high) => [0, high * 1.1] } },
    axes: [{ label: 'step', incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 10000, 50000] }, { label: 'ms', size: 60 }],
    legend: { show: ranks.length <= 16 },
    series: [{ label: 'step' }, ...ranks.map((r, i) => ({
      label: 'rank ' + r.rank, stroke: colour(i), width: 1.5, points: { show: few, size: 6 },
      value: (u, v) => v == null ? '-' : v.toFixed(2) + ' ms',
    }))],
  }, [x, ...ranks.map(r => x.map((_, s) => s < r.steps.length ? r.steps[s].ms : null))], byId('steps'));
  chart.over.addEventListener('click', () => {
    const s = chart.cursor.idx;
    if (s == null) return;
    // Of steps that share a point the longest is opened.
    const here = overview.ranks.map(r => r.steps[s]).filter(Boolean);
    open(here.reduce((a, b) => b.ms > a.ms ? b : a).index);
  });
  if (overview.stride > 1) {
    byId('steps').append(text('p', 'Each point is the longest of ' + overview.stride + ' steps.'));
  }
}

const stretch = (from, to) => 'step?index=' + stepIndex + '&from=' + from + '&to=' + to
  + '&blocks=' + Math.round(width() * 1.5) + (picked ? '&pick=' + encodeURIComponent(picked) : '');

async function open(index) {
  const since = performance.now();
  stepIndex = index;
  step = await get(stretch(0, 0));
  shown = null;
  byId('step').value = index;
  const names = [...new Set(overview.ranks.map(r => r.steps.find(s => s.index === index)).filter(Boolean).map(s => s.name))];
  byId('called').textContent = names.slice(0, 3).join(', ');
  if (plot) plot.destroy();
  plot = new uPlot({
    width: width(), height: 60 + ROW * step.ranks.length,
    cursor: { y: false, drag: { x: true, y: false } },
    scales: { x: { time: false, range: (u, low, high) => [Math.max(0, low), high] }, y: { range: [0, step.ranks.length] } },
    axes: [
      { label: 'us since the first rank began' },
      { size: 70, splits: () => step.ranks.map((_, r) => step.ranks.length - r - 0.5),
        values: () => step.ranks.map(r => 'rank ' + r.rank), grid: { show: false }, ticks: { show: false } },
    ],
    legend: { show: false },
    series: [{}, { paths: () => null, points: { show: false } }],
    hooks: { draw: [paint], setScale: [(u, key) => key === 'x' && zoomed(u)] },
  }, [[0, step.length], [0, 0]], byId('timeline'));
  let downAt = 0;
  plot.over.addEventListener('mousedown', e => { downAt = e.clientX; });
  plot.over.addEventListener('click', e => {
    const box = plot.over.getBoundingClientRect();
    if (Math.abs(e.clientX - downAt) < 4) hit(e.clientX - box.left, e.clientY - box.top);
  });
  plot.over.addEventListener('mousemove', e => {
    const box = plot.over.getBoundingClientRect();
    plot.over.title = describe(e.clientX - box.left, e.clientY - box.top);
  });
  drawn(since);
}

// Asks for the blocks of the stretch that is shown now; until they come the old ones are drawn larger.
function zoomed(u) {
  const from = u.scales.x.min, to = u.scales.x.max;
  if (!step || from == null || shown && shown.from === from && shown.to === to) return;
  const isFirst = shown === null;
  shown = { from, to };
  byId('under').textContent = 'Shown: ' + from.toFixed(1) + ' to ' + to.toFixed(1) + ' us of ' + step.length.toFixed(1) + '.';
  if (isFirst && from <= 0 && to >= step.length) return;
  clearTimeout(timer);
  timer = setTimeout(() => refresh().catch(report), 40);
}

async function refresh() {
  const since = performance.now(), mine = ++asked, index = stepIndex;
  const fresh = await get(stretch(shown.from, shown.to));
  if (mine !== asked || index !== stepIndex) return;
  step = fresh;
  plot.redraw();
  drawn(since);
}

function paint(u) {
  const g = u.ctx, box = u.bbox, height = box.height / step.ranks.length;
  g.save();
  g.beginPath();
  g.rect(box.left, box.top, box.width, box.height);
  g.clip();
  step.ranks.forEach((rank, r) => {
    const top = box.top + r * height, half = (height - 8) / 2;
    rank.lanes.forEach((lane, l) => {
      for (let i = 0; i < lane.start.length; i++) {
        const left = u.valToPos(lane.start[i], 'x', true);
        const right = Math.max(left + 1, u.valToPos(lane.start[i] + lane.dur[i], 'x', true));
        if (right < box.left || left > box.left + box.width) continue;
        g.fillStyle = COLOURS[lane.cls[i]];
        // Joined work is the paler the less of the block it fills.
        const full = lane.dur[i] > 0 ? lane.busy[i] / lane.dur[i] : 1;
        g.globalAlpha = (picked ? 0.35 : 1) * (0.3 + 0.7 * full);
        g.fillRect(left, top + 4 + l * half, right - left, half - 2);
      }
    });
    if (rank.picked) {
      g.globalAlpha = 1;
      for (let i = 0; i < rank.picked.start.length; i++) {
        const left = u.valToPos(rank.picked.start[i], 'x', true);
        const right = Math.max(left + 1.5, u.valToPos(rank.picked.start[i] + rank.picked.dur[i], 'x', true));
        g.fillStyle = '#1d2733';
        g.fillRect(left, top + 4 + pickedLane * half, right - left, half - 2);
      }
    }
  });
  g.restore();
}

// Which of a rank's lanes, row and instant lie under a point.
function under(x, y) {
  const height = plot.over.clientHeight / step.ranks.length;
  const r = Math.floor(y / height);
  if (r < 0 || r >= step.ranks.length) return null;
  const time = plot.posToVal(x, 'x');
  return { r, lane: y / height - r > 0.5 ? 1 : 0, time, slack: plot.posToVal(x + 2, 'x') - time };
}

function describe(x, y) {
  const point = under(x, y);
  if (!point) return '';
  const rank = step.ranks[point.r], lane = rank.lanes[point.lane];
  for (let i = 0; i < lane.start.length; i++) {
    if (point.time < lane.start[i] - point.slack || point.time > lane.start[i] + lane.dur[i] + point.slack) continue;
    const name = step.names[lane.name[i]].slice(0, 200);
    return (lane.count[i] > 1 ? lane.count[i] + ' launches, the longest: ' : '') + name + '\n' + overview.classes[lane.cls[i]]
      + ', rank ' + rank.rank + ', at ' + lane.start[i].toFixed(1) + ' us for ' + lane.dur[i].toFixed(1) + ' us';
  }
  return '';
}

async function hit(x, y) {
  const point = under(x, y);
  if (!point) return;
  const reply = await fetch('at?index=' + stepIndex + '&row=' + step.ranks[point.r].row + '&lane=' + point.lane
    + '&time=' + point.time + '&slack=' + point.slack);
  if (!reply.ok) return;
  const found = await reply.json();
  await pick(found.name, found.occurrence);
}

// Shows a kernel on every rank; with an occurrence, also that one launch of the open step.
async function pick(name, occurrence) {
  const since = performance.now();
  const kernel = await get('kernel?name=' + encodeURIComponent(name) + '&index=' + stepIndex + '&occurrence=' + occurrence);
  picked = name;
  pickedLane = COMMUNICATION.includes(kernel.class) ? 1 : 0;
  byId('name').textContent = name + (occurrence >= 0 ? '   (launch ' + (occurrence + 1) + ' of step ' + stepIndex + ')' : '');
  byId('ranks').replaceChildren(table(kernel, occurrence));
  if (occurrence >= 0 && kernel.ranks.length > 1) byId('ranks').append(text('p', 'The coloured rank began last.'));
  drawHistogram(kernel);
  shown = { from: plot.scales.x.min, to: plot.scales.x.max };
  await refresh();
  drawn(since);
}

function table(kernel, occurrence) {
  const last = Math.max(...kernel.ranks.filter(k => k.start != null).map(k => k.start));
  const head = ['rank', 'launches', 'sum ms', 'min us', 'median us', 'p95 us', 'max us', 'by duration'];
  if (occurrence >= 0) head.push('this one: start us', 'duration us');
  const table = document.createElement('table');
  const row = table.insertRow();
  head.forEach(h => row.append(text('th', h)));
  const peak = Math.max(1, ...kernel.ranks.flatMap(k => k.histogram));
  kernel.ranks.forEach((k, r) => {
    const line = table.insertRow();
    [k.rank, k.count, k.sum_ms.toFixed(2), k.min.toFixed(1), k.median.toFixed(1), k.p95.toFixed(1), k.max.toFixed(1)]
      .forEach(v => line.append(text('td', v)));
    line.insertCell().append(bars(k.histogram, peak, colour(r)));
    if (occurrence >= 0) {
      const isHere = k.start != null;
      line.append(text('td', isHere ? k.start.toFixed(1) : '–'), text('td', isHere ? k.dur.toFixed(1) : '–'));
      if (isHere && k.start === last && kernel.ranks.length > 1) line.className = 'last';
    }
  });
  return table;
}

// A rank's distribution in one line of the table, to one scale for all of them.
function bars(histogram, peak, fill) {
  const ns = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(ns, 'svg');
  svg.setAttribute('width', 2 * histogram.length);
  svg.setAttribute('height', 18);
  svg.setAttribute('class', 'bars');
  histogram.forEach((n, b) => {
    if (n === 0) return;
    const bar = document.createElementNS(ns, 'rect'), height = Math.max(1.5, 18 * n / peak);
    bar.setAttribute('x', 2 * b);
    bar.setAttribute('y', 18 - height);
    bar.setAttribute('width', 2);
    bar.setAttribute('height', height);
    bar.setAttribute('fill', fill);
    svg.append(bar);
  });
  return svg;
}

function drawHistogram(kernel) {
  if (histogram) histogram.destroy();
  const x = Array.from({ length: kernel.bins }, (_, b) => kernel.low + (b + 0.5) * kernel.width);
  histogram = new uPlot({
    width: Math.max(380, Math.min(620, width() - 660)), height: 240,
    title: 'launches by duration',
    scales: { x: { time: false }, y: { range: (u, low, high) => [0, Math.max(1, high)] } },
    axes: [{ label: 'us' }, { label: 'launches', size: 60 }],
    legend: { show: kernel.ranks.length <= 16 },
    series: [{ label: 'us', value: (u, v) => v == null ? '-' : v.toFixed(1) }, ...kernel.ranks.slice(0, 64).map((k, r) => ({
      label: 'rank ' + k.rank, stroke: colour(r), width: 1.5, points: { show: false }, paths: uPlot.paths.stepped({ align: 0 }),
    }))],
  }, [x, ...kernel.ranks.slice(0, 64).map(k => k.histogram)], byId('histogram'));
}

const report = e => {
  byId('verdict').append(text('p', 'The page could not be drawn: ' + e.message));
  document.body.dataset.ready = 'failed';
};

begin().catch(report);
