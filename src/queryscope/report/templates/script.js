
(() => {
  'use strict';
  const body = document.body;
  const noteError = (text) => {
    body.dataset.errors = body.dataset.errors ? `${body.dataset.errors}\n${text}` : text;
  };
  window.addEventListener('error', (event) => noteError(event.message || 'error'));
  window.addEventListener('unhandledrejection', (event) => noteError(String(event.reason)));

  const SVG = 'http://www.w3.org/2000/svg';
  const UNITS = 10000;
  const PAGE = 200;
  const NARROW = 600;
  const data = JSON.parse(document.getElementById('data').textContent);
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  // A column of equal numbers is stored as that number.
  const at = (column, index) => (Array.isArray(column) ? column[index] : column);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  const make = (name, text, className) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  };

  const duration = (us) => {
    if (us >= 60e6) return `${Math.floor(us / 60e6)} min ${Math.round((us % 60e6) / 1e6)} s`;
    const [value, unit] = us >= 1e6 ? [us / 1e6, 's'] : [us / 1e3, 'ms'];
    if (value < 0.005) return `0 ${unit}`;
    const decimals = clamp(2 - Math.floor(Math.log10(value)), 0, 2);
    return `${value.toFixed(decimals)} ${unit}`;
  };

  const openTo = (target) => {
    for (let node = target; node; node = node.parentElement) {
      if (node.tagName === 'DETAILS') node.open = true;
    }
  };

  // ---- single executions, shown on demand -------------------------------------------------

  const rowOf = (trace, index) => {
    const row = make('tr');
    const error = at(trace.error, index);
    const cells = [];
    const cell = (text, className) => cells.push(make('td', text, className));
    const rows = at(trace.rows, index);
    cell(index, 'num');
    cell(duration(at(trace.start_us, index)), 'num');
    cell(duration(at(trace.duration_us, index)), 'num');
    cell(rows < 0 ? '?' : rows.toLocaleString('en'), 'num');
    const values = make('td', undefined, 'values');
    const set = at(trace.parameter_set, index);
    const known = (trace.values[at(trace.group, index)] || {})[set];
    const many = at(trace.many, index);
    if (error >= 0) {
      row.className = 'bad';
      values.append(make('span', trace.errors[error], 'error-text'), ' ');
    }
    if (many) values.append(`batch of ${many > 0 ? many : '?'}`);
    else if (known !== undefined) values.append(make('code', known));
    else values.append(make('span', set < 0 ? '–' : `set ${set + 1}`, 'dim'));
    cells.push(values);
    const session = at(trace.session, index);
    const stage = at(trace.stage, index);
    cell(session < 0 ? '–' : session);
    cell(at(trace.connection, index));
    cell(at(trace.thread, index));
    cell(stage < 0 ? '–' : trace.stages[stage]);
    row.append(...cells);
    return row;
  };

  const membersOf = (trace, group) => {
    const found = [];
    for (let index = 0; index < trace.count; index += 1) {
      if (at(trace.group, index) === group) found.push(index);
    }
    return found;
  };

  const showMore = (button) => {
    const holder = button.closest('.group');
    const trace = data.traces[holder.dataset.key];
    const members = membersOf(trace, Number(holder.dataset.group));
    const table = holder.querySelector('.executions tbody');
    const shown = table.rows.length;
    const next = members.slice(shown, shown + PAGE);
    table.append(...next.map((index) => rowOf(trace, index)));
    const left = members.length - shown - next.length;
    const line = button.closest('.all');
    if (left) line.querySelector('span').textContent = `${left.toLocaleString('en')} more.`;
    else line.remove();
  };

  // ---- the timeline -----------------------------------------------------------------------

  const tip = document.getElementById('tip');
  const showTip = (text, event) => {
    tip.textContent = text;
    tip.hidden = false;
    const left = clamp(event.clientX + 14, 4, Math.max(window.innerWidth - tip.offsetWidth - 8, 4));
    const below = event.clientY + 18;
    const top = below + tip.offsetHeight > window.innerHeight ? event.clientY - tip.offsetHeight - 10 : below;
    tip.style.left = `${left}px`;
    tip.style.top = `${top}px`;
  };
  const hideTip = () => { tip.hidden = true; };

  const timelines = [];

  class Timeline {
    constructor(element) {
      this.element = element;
      this.trace = data.traces[element.dataset.key];
      this.wall = Math.max(this.trace.wall_us, 1);
      this.from = 0;
      this.to = 1;
      this.hot = null;
      this.axis = element.querySelector('.axis');
      this.grid = element.querySelector('.grid');
      this.tracks = all('svg.track:not(.words)', element);
      this.words = all('svg.words > svg', element).map((bar) => ({
        bar, x: parseFloat(bar.getAttribute('x')), width: parseFloat(bar.getAttribute('width')),
        text: (bar.querySelector('title') || bar).textContent,
      }));
      this.rows = all('svg.track[data-thread]', element).map((track) => {
        const thread = this.threadOf(Number(track.dataset.thread));
        const members = [];
        for (let n = 0; n < this.trace.count; n += 1) {
          if (at(this.trace.thread, n) === thread) members.push(n);
        }
        return { track, members, marks: all('rect', track) };
      });
      // Our own tips come at once and wrap; the page keeps <title> for readers without scripts.
      this.tips = new Map();
      for (const title of all('svg.track title', element)) {
        this.tips.set(title.parentNode, title.textContent);
        title.remove();
      }
      // The ticks of the page itself are as many as a wide screen shows.
      if (window.innerWidth < NARROW) this.drawAxis(1);
      this.listen();
    }

    threadOf(row) {
      // Rows hold idents of the system; columns hold small numbers in order of appearance.
      if (!this.threads) {
        this.threads = [];
        for (let n = 0; n < this.trace.count; n += 1) {
          const thread = at(this.trace.thread, n);
          if (!this.threads.includes(thread)) this.threads.push(thread);
        }
      }
      return this.threads[row];
    }

    share(event) {
      const box = this.grid.getBoundingClientRect();
      return clamp((event.clientX - box.left) / Math.max(box.width, 1), 0, 1);
    }

    moment(event) { return this.from + this.share(event) * (this.to - this.from); }

    show(from, to) {
      const width = clamp(to - from, Math.min(20 / this.wall, 1), 1);
      this.from = clamp(from, 0, 1 - width);
      this.to = this.from + width;
      this.draw();
    }

    zoom(factor, around = (this.from + this.to) / 2) {
      const width = (this.to - this.from) * factor;
      const part = (around - this.from) / (this.to - this.from);
      this.show(around - width * part, around + width * (1 - part));
    }

    move(part) {
      const by = part * (this.to - this.from);
      this.show(this.from + by, this.to + by);
    }

    draw() {
      const width = this.to - this.from;
      const box = `${this.from * UNITS} 0 ${width * UNITS} 20`;
      for (const track of this.tracks) track.setAttribute('viewBox', box);
      for (const { bar, x, width: length } of this.words) {
        bar.setAttribute('x', `${(x - this.from * 100) / width}%`);
        bar.setAttribute('width', `${length / width}%`);
      }
      this.drawAxis(width);
      this.element.classList.toggle('zoomed', width < 1);
      for (const row of this.rows) this.drawRow(row, width);
    }

    drawAxis(width) {
      const span = width * this.wall;
      const raw = span / (window.innerWidth < NARROW ? 3 : 8);
      const power = 10 ** Math.floor(Math.log10(raw));
      const step = [1, 2, 5, 10].map((nice) => nice * power).find((nice) => nice >= raw);
      const texts = [];
      const lines = [];
      for (let n = Math.ceil((this.from * this.wall) / step); n * step <= this.to * this.wall; n += 1) {
        const percent = ((n * step) / this.wall - this.from) / width * 100;
        const text = document.createElementNS(SVG, 'text');
        text.setAttribute('x', `${percent}%`);
        text.setAttribute('y', '12');
        if (percent > 96) text.setAttribute('text-anchor', 'end');
        else if (percent > 3) text.setAttribute('text-anchor', 'middle');
        text.textContent = duration(n * step);
        texts.push(text);
        const line = document.createElementNS(SVG, 'line');
        for (const [name, value] of [['x1', `${percent}%`], ['x2', `${percent}%`], ['y1', '0'], ['y2', '100%']]) {
          line.setAttribute(name, value);
        }
        lines.push(line);
      }
      this.axis.replaceChildren(...texts);
      this.grid.replaceChildren(...lines);
    }

    // One path per kind: ten thousand statements are a handful of elements.
    paths(members, width, kindOf) {
      const trace = this.trace;
      const pixel = (width * UNITS) / Math.max(this.grid.getBoundingClientRect().width, 200);
      const found = new Map();
      const ends = new Map();
      for (const n of members) {
        const start = (at(trace.start_us, n) / this.wall) * UNITS;
        const length = Math.max((at(trace.duration_us, n) / this.wall) * UNITS, 1.2 * pixel);
        if (start > this.to * UNITS || start + length < this.from * UNITS) continue;
        const kind = kindOf(n);
        if (start + length < (ends.get(kind) || -1) + pixel / 2) continue;
        ends.set(kind, start + length);
        found.set(kind, `${found.get(kind) || ''}M${start.toFixed(3)} 2h${length.toFixed(3)}v16h-${length.toFixed(3)}z`);
      }
      return Array.from(found, ([kind, d]) => {
        const path = document.createElementNS(SVG, 'path');
        path.setAttribute('class', kind);
        path.setAttribute('d', d);
        return path;
      });
    }

    kind(n) {
      if (at(this.trace.error, n) >= 0) return 'error';
      return this.trace.kinds[at(this.trace.group, n)] || 'read';
    }

    drawRow(row, width) {
      all('path', row.track).forEach((path) => path.remove());
      const zoomed = width < 1;
      for (const mark of row.marks) mark.style.display = zoomed ? 'none' : '';
      if (zoomed) row.track.append(...this.paths(row.members, width, (n) => this.kind(n)));
      row.track.classList.toggle('dimmed', Boolean(this.hot));
      if (this.hot) {
        const members = row.members.filter((n) => this.hot.has(n));
        row.track.append(...this.paths(members, width, () => 'hot'));
      }
    }

    mark(queries) {
      this.hot = queries ? new Set(queries) : null;
      for (const row of this.rows) this.drawRow(row, this.to - this.from);
    }

    nearest(row, event) {
      const pixel = (this.to - this.from) / Math.max(this.grid.getBoundingClientRect().width, 1);
      const moment = this.moment(event) * this.wall;
      let best = -1;
      let distance = 4 * pixel * this.wall;
      for (const n of row.members) {
        const start = at(this.trace.start_us, n);
        const end = start + at(this.trace.duration_us, n);
        const off = moment < start ? start - moment : Math.max(moment - end, 0);
        if (off < distance) { best = n; distance = off; }
      }
      return best;
    }

    describe(n) {
      const { trace } = this;
      const stage = at(trace.stage, n);
      const where = stage >= 0 ? `\nin ${trace.stages[stage]}` : '';
      const head = trace.heads[at(trace.group, n)] || '';
      return `#${n}  ${duration(at(trace.duration_us, n))}, at ${duration(at(trace.start_us, n))}${where}\n${head}`;
    }

    listen() {
      const lanes = this.element.querySelector('.lanes');
      let drag = null;
      const select = make('div', undefined, 'select');
      select.hidden = true;
      lanes.append(select);
      lanes.addEventListener('mousemove', (event) => {
        if (drag) return;
        const row = this.rows.find(({ track }) => track.contains(event.target));
        const n = row ? this.nearest(row, event) : -1;
        const holder = event.target.closest('rect, svg.words > svg');
        const text = n >= 0 ? this.describe(n) : !row && this.tips.get(holder && holder.closest('svg.words > svg') ? holder.closest('svg.words > svg') : holder);
        if (text) showTip(text, event); else hideTip();
      });
      lanes.addEventListener('mouseleave', hideTip);
      lanes.addEventListener('mousedown', (event) => {
        const box = this.grid.getBoundingClientRect();
        if (event.button !== 0 || event.clientX < box.left) return;
        drag = { x: event.clientX, moment: this.moment(event), from: this.from, pan: event.shiftKey };
        event.preventDefault();
        this.element.focus({ preventScroll: true });
      });
      window.addEventListener('mousemove', (event) => {
        if (!drag || Math.abs(event.clientX - drag.x) < 4) return;
        hideTip();
        drag.moved = true;
        const box = this.grid.getBoundingClientRect();
        if (drag.pan) {
          const by = ((event.clientX - drag.x) / box.width) * (this.to - this.from);
          this.show(drag.from - by, drag.from - by + (this.to - this.from));
          return;
        }
        const left = clamp(Math.min(drag.x, event.clientX), box.left, box.right);
        const right = clamp(Math.max(drag.x, event.clientX), box.left, box.right);
        select.hidden = false;
        select.style.left = `${left - lanes.getBoundingClientRect().left}px`;
        select.style.width = `${right - left}px`;
      });
      window.addEventListener('mouseup', (event) => {
        if (!drag) return;
        const { moved, pan, moment } = drag;
        drag = null;
        select.hidden = true;
        if (moved && !pan) {
          const end = this.moment(event);
          this.show(Math.min(moment, end), Math.max(moment, end));
        } else if (!moved) {
          const row = this.rows.find(({ track }) => track.contains(event.target));
          const n = row ? this.nearest(row, event) : -1;
          const group = n >= 0 ? at(this.trace.group, n) : -1;
          const target = group >= 0 && document.getElementById(`${this.element.dataset.key}-g${group}`);
          if (target) { openTo(target); current('.group', target); }
        }
      });
      lanes.addEventListener('dblclick', () => this.show(0, 1));
      lanes.addEventListener('wheel', (event) => {
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.moment(event));
      }, { passive: false });
      const buttons = this.element.parentElement.querySelector('.zoom');
      buttons.addEventListener('click', (event) => {
        const how = event.target.dataset.zoom;
        if (how === 'in') this.zoom(0.5);
        if (how === 'out') this.zoom(2);
        if (how === 'all') this.show(0, 1);
      });
    }
  }

  const timelineInUse = () => {
    const active = timelines.find(({ element }) => element.contains(document.activeElement));
    return active || timelines[0];
  };

  // ---- moving about -----------------------------------------------------------------------

  const shown = (selector) => all(selector).filter((element) => !element.hidden && element.getClientRects().length);

  const mark = (element) => {
    const entry = element && element.matches('.finding') && data.findings.find(({ anchor }) => anchor === element.id);
    for (const timeline of timelines) {
      const mine = entry && entry.queries.length && timeline.element.dataset.key === entry.trace;
      timeline.mark(mine ? entry.queries : null);
    }
  };

  function current(selector, element) {
    all('.current').forEach((other) => other.classList.remove('current'));
    if (!element) { mark(null); return; }
    element.classList.add('current');
    mark(element);
    element.querySelector('summary').focus({ preventScroll: true });
    element.scrollIntoView({ block: 'start' });
  }

  const step = (selector, by) => {
    const items = shown(selector);
    if (!items.length) return;
    const now = items.findIndex((item) => item.classList.contains('current'));
    const next = now < 0 ? (by > 0 ? 0 : items.length - 1) : clamp(now + by, 0, items.length - 1);
    items[next].open = true;
    current(selector, items[next]);
  };

  // ---- filter and order -------------------------------------------------------------------

  const filter = document.getElementById('filter');
  const filtered = all('.finding, .group, .nested').map((element) => ({ element, text: null }));
  // The code of folded findings stands in their heading.
  const textOf = (element) => {
    const fold = element.closest('.fold');
    return fold ? `${fold.querySelector('header').textContent} ${element.textContent}` : element.textContent;
  };
  const applyFilter = () => {
    const wanted = filter.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const item of filtered) {
      if (wanted.length && item.text === null) item.text = textOf(item.element).toLowerCase();
      const matches = wanted.every((word) => item.text.includes(word));
      item.element.hidden = !matches;
      found += matches ? 1 : 0;
    }
    document.querySelector('.none-match').hidden = !wanted.length || found > 0;
  };
  filter.addEventListener('input', applyFilter);

  const sort = (choice) => {
    const holder = choice.closest('section').querySelector('.groups');
    const key = choice.value;
    const sign = key === 'first' ? 1 : -1;
    const groups = Array.from(holder.children);
    groups.sort((a, b) => sign * (Number(a.dataset[key]) - Number(b.dataset[key])));
    holder.append(...groups);
  };

  // ---- copying ----------------------------------------------------------------------------

  const copied = (button) => {
    const before = button.textContent;
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = before; }, 1200);
  };
  const copyOldWay = (text) => {
    const area = make('textarea', text, 'off-screen');
    body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  };
  const copy = async (button) => {
    const text = button.dataset.copy || button.parentElement.querySelector('pre').textContent;
    try {
      await navigator.clipboard.writeText(text);
      copied(button);
    } catch {
      if (copyOldWay(text)) copied(button);
    }
  };

  // ---- what the reader does ---------------------------------------------------------------

  const keys = document.getElementById('keys');
  const help = (on) => keys.classList.toggle('popup', on);

  document.addEventListener('click', (event) => {
    const button = event.target.closest('button');
    if (button && button.matches('.copy')) copy(button);
    else if (button && button.matches('.show-all')) showMore(button);
    else if (button && button.id === 'help-button') help(!keys.classList.contains('popup'));
    else if (keys.classList.contains('popup') && !keys.contains(event.target)) help(false);
    const summary = event.target.closest('.finding > summary');
    if (summary) {
      all('.current').forEach((other) => other.classList.remove('current'));
      summary.parentElement.classList.add('current');
      mark(summary.parentElement);
    }
  });
  document.addEventListener('change', (event) => {
    if (event.target.matches('[data-sort]')) sort(event.target);
  });

  const actions = {
    j: () => step('.finding', 1),
    k: () => step('.finding', -1),
    n: () => step('.group', 1),
    p: () => step('.group', -1),
    c: () => {
      const button = document.querySelector('.finding.current .mend .copy');
      if (button) copy(button);
    },
    e: () => {
      const findings = shown('.finding');
      const open = findings.some((finding) => !finding.open);
      findings.forEach((finding) => { finding.open = open; });
    },
    '/': () => { filter.focus(); filter.select(); },
    '?': () => help(!keys.classList.contains('popup')),
    '+': () => timelineInUse()?.zoom(0.5),
    '=': () => timelineInUse()?.zoom(0.5),
    '-': () => timelineInUse()?.zoom(2),
    0: () => timelineInUse()?.show(0, 1),
    ArrowLeft: () => timelineInUse()?.move(-0.2),
    ArrowRight: () => timelineInUse()?.move(0.2),
  };
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') {
      if (event.target === filter || filter.value) { filter.value = ''; applyFilter(); filter.blur(); }
      help(false);
      current('', null);
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest('input, select, textarea')) return;
    const action = actions[event.key];
    if (!action) return;
    // Arrows scroll wide tables as well: they are ours only while the timeline is zoomed.
    const zoomed = timelineInUse() && timelineInUse().to - timelineInUse().from < 1;
    if (event.key.startsWith('Arrow') && !zoomed) return;
    event.preventDefault();
    action();
  });

  const follow = () => {
    let name = '';
    try { name = decodeURIComponent(window.location.hash.slice(1)); } catch { return; }
    const target = name && document.getElementById(name);
    if (target) { openTo(target); target.scrollIntoView(); }
  };
  window.addEventListener('hashchange', follow);

  for (const element of all('.timeline')) timelines.push(new Timeline(element));
  follow();
  body.dataset.ready = 'yes';
})();
