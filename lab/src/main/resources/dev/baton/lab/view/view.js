'use strict';
// The page of `baton trace view`: step times, one step's work on every rank, one kernel on every rank.
const COLOURS = ['#3b6ea8', '#7fb3d8', '#d9822b', '#c08a2b', '#5a9a63', '#b0413e', '#a3567e', '#e0b84c', '#6d5fa8',
  '#8aa0b5', '#b9bfc7'];
const COMMUNICATION = ['dispatch', 'combine', 'collective'];
const RANK_COLOURS = ['#3b6ea8', '#d9822b', '#5a9a63', '#a3567e', '#4fb0ae', '#6d5fa8', '#9a6b45', '#e0b84c'];
const ROW = 46;
const byId = id => document.getElementById(id);
let overview, step, plot, picked = null, histogram, stepIndex = 0;

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
  const most = Math.max(0, ...overview.ranks.map(r => r.steps.length));
  for (let s = 0; s < most; s++) {
    const first = overview.ranks.find(r => s < r.steps.length);
    const option = text('option', s + ': ' + first.steps[s].name);
    option.value = s;
    byId('step').append(option);
  }
  byId('step').onchange = () => open(Number(byId('step').value));
  byId('whole').onclick = () => plot && plot.setScale('x', { min: 0, max: step.end });
  if (most > 1) {
    drawSteps(most);
  } else {
    byId('steps').append(text('p', 'one step only: ' + overview.ranks.map(r => 'rank ' + r.rank + ' '
      + (r.steps.length ? r.steps[0].ms.toFixed(2) + ' ms' : '-')).join(', ')));
  }
  const wanted = new URLSearchParams(location.hash.slice(1));
  await open(Number(wanted.get('step') || 0));
  if (wanted.get('kernel')) await pick(wanted.get('kernel'), -1);
  document.body.dataset.ready = 'yes';
}

function drawSteps(most) {
  const x = Array.from({ length: most }, (_, s) => s);
  const few = most < 40;
  const shown = overview.ranks.slice(0, 64);
  const chart = new uPlot({
    width: width(), height: 200,
    scales: { x: { time: false, range: [-0.5, Math.max(0.5, most - 0.5)] }, y: { range: (u, low, high) => [0, high * 1.1] } },
    axes: [{ label: 'step', incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] }, { label: 'ms', size: 60 }],
    legend: { show: shown.length <= 16 },
    series: [{ label: 'step' }, ...shown.map((r, i) => ({
      label: 'rank ' + r.rank, stroke: colour(i), width: 1.5, points: { show: few, size: 6 },
      value: (u, v) => v == null ? '-' : v.toFixed(2) + ' ms',
    }))],
  }, [x, ...shown.map(r => x.map(s => s < r.steps.length ? r.steps[s].ms : null))], byId('steps'));
  chart.over.addEventListener('click', () => { if (chart.cursor.idx != null) open(chart.cursor.idx); });
}

async function open(index) {
  stepIndex = index;
  step = await get('step?index=' + index);
  step.end = Math.max(1, ...step.ranks.map(r => r.start.reduce((m, s, i) => Math.max(m, s + r.dur[i]), 0)));
  byId('step').value = index;
  const left = step.ranks.reduce((sum, r) => sum + r.left_out, 0);
  byId('under').textContent = left > 0 ? left + ' pieces of work at the end of the step are not drawn' : '';
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
    hooks: { draw: [paint] },
  }, [[0, step.end], [0, 0]], byId('timeline'));
  let downAt = 0;
  plot.over.addEventListener('mousedown', e => { downAt = e.clientX; });
  plot.over.addEventListener('click', e => {
    const box = plot.over.getBoundingClientRect();
    if (Math.abs(e.clientX - downAt) < 4) hit(e.clientX - box.left, e.clientY - box.top);
  });
  plot.over.addEventListener('mousemove', e => {
    const box = plot.over.getBoundingClientRect();
    const found = at(e.clientX - box.left, e.clientY - box.top);
    plot.over.title = found ? describe(found) : '';
  });
}

const isCommunication = c => COMMUNICATION.includes(overview.classes[c]);

function paint(u) {
  const g = u.ctx, box = u.bbox, rows = step.ranks.length, height = box.height / rows;
  g.save();
  g.beginPath();
  g.rect(box.left, box.top, box.width, box.height);
  g.clip();
  step.ranks.forEach((rank, r) => {
    const top = box.top + r * height;
    const ends = [-1, -1];
    for (let i = 0; i < rank.start.length; i++) {
      const lane = isCommunication(rank.cls[i]) ? 1 : 0;
      const left = u.valToPos(rank.start[i], 'x', true);
      const right = Math.max(left + 1, u.valToPos(rank.start[i] + rank.dur[i], 'x', true));
      const mine = picked && picked.name === step.names[rank.name[i]];
      // What would only repaint the last pixel is left away: a step has thousands of kernels.
      if (!mine && right <= ends[lane] || right < box.left || left > box.left + box.width) continue;
      ends[lane] = right;
      g.fillStyle = COLOURS[rank.cls[i]];
      g.globalAlpha = picked && !mine ? 0.35 : 1;
      g.fillRect(left, top + 4 + lane * (height - 8) / 2, right - left, (height - 8) / 2 - 2);
    }
  });
  g.restore();
}

function at(x, y) {
  const rows = step.ranks.length;
  const r = Math.floor(y / (plot.over.clientHeight / rows));
  if (r < 0 || r >= rows) return null;
  const rank = step.ranks[r];
  const inRow = y / (plot.over.clientHeight / rows) - r;
  const lane = inRow > 0.5 ? 1 : 0;
  const time = plot.posToVal(x, 'x'), slack = plot.posToVal(x + 2, 'x') - time;
  let best = null;
  for (let i = 0; i < rank.start.length; i++) {
    if ((isCommunication(rank.cls[i]) ? 1 : 0) !== lane) continue;
    if (time < rank.start[i] - slack || time > rank.start[i] + rank.dur[i] + slack) continue;
    if (!best || rank.dur[i] < step.ranks[r].dur[best.i]) best = { r, i };
  }
  return best;
}

function describe(found) {
  const rank = step.ranks[found.r], i = found.i;
  return step.names[rank.name[i]].slice(0, 200) + '\n' + overview.classes[rank.cls[i]] + ', rank ' + rank.rank + ', at '
    + rank.start[i].toFixed(1) + ' us for ' + rank.dur[i].toFixed(1) + ' us, event ' + rank.event[i];
}

async function hit(x, y) {
  const found = at(x, y);
  if (!found) return;
  const rank = step.ranks[found.r];
  const name = rank.name[found.i];
  let occurrence = 0;
  for (let i = 0; i < found.i; i++) if (rank.name[i] === name) occurrence++;
  await pick(step.names[name], occurrence);
}

// Shows a kernel on every rank; with an occurrence, also that one launch of the open step.
async function pick(name, occurrence) {
  const kernel = await get('kernel?name=' + encodeURIComponent(name));
  picked = { name };
  byId('name').textContent = name + (occurrence >= 0 ? '   (launch ' + (occurrence + 1) + ' of step ' + stepIndex + ')' : '');
  const here = kernel.ranks.map(k => {
    const rank = step.ranks.find(s => s.rank === k.rank);
    if (!rank || occurrence < 0) return null;
    const id = step.names.indexOf(name);
    let seen = -1;
    for (let i = 0; i < rank.start.length; i++) {
      if (rank.name[i] === id && ++seen === occurrence) return { start: rank.start[i], dur: rank.dur[i] };
    }
    return null;
  });
  const last = Math.max(...here.filter(h => h).map(h => h.start));
  const head = ['rank', 'launches', 'sum ms', 'min us', 'median us', 'p95 us', 'max us'];
  if (occurrence >= 0) head.push('this one: start us', 'duration us');
  const table = document.createElement('table');
  const row = table.insertRow();
  head.forEach(h => row.append(text('th', h)));
  kernel.ranks.forEach((k, r) => {
    const line = table.insertRow();
    [k.rank, k.count, k.sum_ms.toFixed(2), k.min.toFixed(1), k.median.toFixed(1), k.p95.toFixed(1), k.max.toFixed(1)]
      .forEach(v => line.append(text('td', v)));
    if (occurrence >= 0) {
      line.append(text('td', here[r] ? here[r].start.toFixed(1) : '–'), text('td', here[r] ? here[r].dur.toFixed(1) : '–'));
      if (here[r] && here[r].start === last && kernel.ranks.length > 1) line.className = 'last';
    }
  });
  byId('ranks').replaceChildren(table);
  if (occurrence >= 0 && kernel.ranks.length > 1) byId('ranks').append(text('p', 'The coloured rank began last.'));
  if (histogram) histogram.destroy();
  const x = Array.from({ length: kernel.bins }, (_, b) => kernel.low + (b + 0.5) * kernel.width);
  histogram = new uPlot({
    width: Math.max(380, Math.min(620, width() - 560)), height: 240,
    title: 'launches by duration',
    scales: { x: { time: false }, y: { range: (u, low, high) => [0, Math.max(1, high)] } },
    axes: [{ label: 'us' }, { label: 'launches', size: 60 }],
    legend: { show: kernel.ranks.length <= 16 },
    series: [{ label: 'us', value: (u, v) => v == null ? '-' : v.toFixed(1) }, ...kernel.ranks.slice(0, 64).map((k, r) => ({
      label: 'rank ' + k.rank, stroke: colour(r), width: 1.5, points: { show: false }, paths: uPlot.paths.stepped({ align: 0 }),
    }))],
  }, [x, ...kernel.ranks.slice(0, 64).map(k => k.histogram)], byId('histogram'));
  plot.redraw();
}

begin().catch(e => {
  byId('verdict').append(text('p', 'The page could not be drawn: ' + e.message));
  document.body.dataset.ready = 'failed';
});
