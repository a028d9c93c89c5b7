'use strict';

const POLL_MS = 1000;      // between two looks at the status
const TIMEOUT_MS = 5000;   // for one look: a busy small machine may take seconds
const GAP_MS = 8000;       // without contact, the server may have dropped the preview
const RETRY_MS = 2000;     // after the preview failed
const STALE_SECONDS = 3;   // a camera that is up but silent

const $ = (id) => document.getElementById(id);
const img = $('preview');

let view = 'overlay';
let camera = '';           // name of the one that is shown; the first if empty or unknown
let loads = 0;             // makes every address of the preview new, so that it is fetched
let previewOf = '';        // the camera that it was fetched of; empty for the first
let previewFailed = false;
let retryTimer = 0;
let pollTimer = 0;
let lastContact = Date.now();
let lastUptime = 0;
let online = true;
let latest = null;

function text(id, value) {
  const el = $(id);
  if (el.textContent !== value) el.textContent = value;
}

function number(value, digits) {
  return Number.isFinite(value) ? value.toFixed(digits) : '–';
}

function milliseconds(value) {
  return number(value, value < 10 ? 1 : 0);
}

function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
  if (d > 0) return `${d} d ${h} h`;
  if (h > 0) return `${h} h ${m} min`;
  if (m > 0) return `${m} min ${s % 60} s`;
  return `${s} s`;
}

// shown is the camera that the page is about.
function shown() {
  return latest && (latest.cameras.find((c) => c.name === camera) || latest.cameras[0]);
}

function picture(path) {
  const query = new URLSearchParams({ view });
  const c = shown(), name = c ? c.name : camera;
  if (name) query.set('camera', name);
  return `${path}?${query}`;
}

// Preview. A motion JPEG image says nothing when its connection ends, so the status tells
// when to fetch it again.

function startPreview() {
  clearTimeout(retryTimer);
  if (document.hidden) return;
  previewFailed = false;
  img.alt = `Live preview, ${view} view`;
  previewOf = latest ? shown().name : camera;
  img.src = `${picture('/preview.mjpg')}&n=${++loads}`;
}

function stopPreview() {
  clearTimeout(retryTimer);
  img.removeAttribute('src');
}

img.addEventListener('error', () => {
  if (!img.hasAttribute('src')) return;
  previewFailed = true;
  clearTimeout(retryTimer);
  retryTimer = setTimeout(() => { if (online) startPreview(); }, RETRY_MS);
  showState();
});

img.addEventListener('load', () => {
  if (!previewFailed) return;
  previewFailed = false;
  showState();
});

function showPicture() {
  $('snapshot').href = picture('/snapshot.jpg');
  shapePicture();
  startPreview();
}

// remember keeps a choice in the page's address.
function remember(name, value) {
  const address = new URL(location.href);
  address.searchParams.set(name, value);
  history.replaceState(null, '', address);
}

function showCameras() {
  const group = $('cameras'), cameras = latest.cameras;
  group.hidden = cameras.length < 2;
  const names = [...group.querySelectorAll('input')].map((input) => input.value);
  const current = shown().name;
  if (names.join('\n') === cameras.map((c) => c.name).join('\n')) return;
  for (const label of group.querySelectorAll('label')) label.remove();
  for (const c of cameras) {
    const label = document.createElement('label'), input = document.createElement('input'), name = document.createElement('span');
    input.type = 'radio';
    input.name = 'camera';
    input.value = name.textContent = c.name;
    input.checked = c.name === current;
    input.addEventListener('change', () => {
      camera = input.value;
      remember('camera', camera);
      showPicture();
      showFigures();
      showState();
    });
    label.append(input, name);
    group.append(label);
  }
}

function shapePicture() {
  const c = latest && shown().source;
  if (!c || !c.width || !c.height) return;
  const width = view === 'side-by-side' ? 2 * c.width : c.width;
  $('picture').style.aspectRatio = `${width} / ${c.height}`;
}

// State

function describe() {
  if (!online) {
    return { pill: 'Offline', kind: 'bad', title: 'Connection lost, retrying…', age: `last contact ${duration((Date.now() - lastContact) / 1000)} ago` };
  }
  if (!latest) return { pill: 'Connecting', kind: 'wait' };
  const c = shown().source;
  const known = c.last_frame_age_seconds !== null;
  const age = known ? `last frame ${duration(c.last_frame_age_seconds)} ago` : 'no frame yet';
  if (c.state === 'opening') return { pill: 'Opening camera', kind: 'wait', title: 'Opening the camera…', detail: c.error };
  if (c.state === 'lost') return { pill: 'Camera lost', kind: 'bad', title: 'Camera lost, retrying…', age, detail: c.error };
  if (c.state === 'failed') return { pill: 'Camera failed', kind: 'bad', title: 'The camera was given up', age, detail: c.error };
  if (c.state === 'ended') return { pill: 'Ended', kind: 'wait', title: 'The clip has ended', age };
  if (known && c.last_frame_age_seconds > STALE_SECONDS) return { pill: 'No new frames', kind: 'warn', title: 'Waiting for the camera…', age };
  if (previewFailed) {
    const full = latest.preview.viewers >= latest.preview.max_viewers;
    return {
      pill: 'Live', kind: 'live',
      title: full ? `All ${latest.preview.max_viewers} previews are in use` : 'Preview interrupted, retrying…',
      age: full ? 'close one elsewhere, or play the stream' : '',
    };
  }
  return { pill: 'Live', kind: 'live' };
}

function showState() {
  const s = describe();
  // Only the state is announced to screen readers; the ticking age is not.
  text('state', s.pill);
  $('state').dataset.state = s.kind;
  $('banner').hidden = online;
  document.body.classList.toggle('offline', !online);
  $('veil').hidden = !s.title;
  $('picture').classList.toggle('stale', Boolean(s.title));
  text('veil-title', s.title || '');
  text('veil-age', s.age || '');
  text('veil-detail', s.detail || '');
  document.title = s.kind === 'live' ? 'robustnet-edge' : `${s.pill} · robustnet-edge`;
}

// Figures

function showFigures() {
  const { model, machine, preview, configuration } = latest;
  const { source, class_pixel_ratios: ratios, pipeline, stream, output } = shown();
  text('fps', number(pipeline.fps, 1));
  text('latency-p50', milliseconds(pipeline.latency_ms.p50));
  text('latency-p95', milliseconds(pipeline.latency_ms.p95));
  text('infer-p50', milliseconds(pipeline.infer_ms.p50));
  text('infer-p95', milliseconds(pipeline.infer_ms.p95));
  const drops = Object.entries(pipeline.dropped || {});
  text('dropped', String(drops.reduce((sum, [, n]) => sum + n, 0)));
  text('dropped-by', drops.filter(([, n]) => n > 0).map(([stage, n]) => `${stage} ${n}`).join(', '));
  text('viewers', String(stream.viewers));
  text('previews', `${preview.viewers} ${preview.viewers === 1 ? 'preview' : 'previews'}`);
  text('uptime', duration(latest.uptime_seconds));

  text('camera', source.uri);
  const mode = [];
  if (source.width) mode.push(`${source.width} × ${source.height}`);
  if (source.fps) mode.push(`${number(source.fps, source.fps % 1 ? 2 : 0)} fps`);
  if (source.format) mode.push(source.format);
  if (source.reopens) mode.push(`reopened ${source.reopens}\u00a0×`);
  text('camera-mode', mode.join(', '));
  text('model', model.name);
  text('model-mode', `input ${model.input.width} × ${model.input.height}, mask ${model.mask.width} × ${model.mask.height}`);
  text('backend', `${model.backend}, ${model.threads} ${model.threads === 1 ? 'thread' : 'threads'}`);
  showMachine(machine);
  $('configuration-row').hidden = configuration.applied;
  text('configuration', configuration.error);
  $('output-row').hidden = !output;
  if (output) text('output', `${[output.video, output.masks].filter(Boolean).join(', ')} (${output.frames} frames)`);

  $('stream').hidden = !stream.rtsp_url;
  text('rtsp', stream.rtsp_url);
  text('ffplay', `ffplay -fflags nobuffer -flags low_delay ${stream.rtsp_url}`);
  text('encoder', [stream.encoder, stream.bitrate_kbps ? `${(stream.bitrate_kbps / 1000).toFixed(1)} Mbit/s` : ''].filter(Boolean).join(', '));
  showClasses(model.classes || [], ratios || []);
}

function showMachine(machine) {
  $('machine-row').hidden = !machine;
  if (!machine) return;
  const state = [], mode = [];
  if (machine.hottest_zone) state.push(`${machine.hottest_zone.replace(/-thermal$/, '')} ${number(machine.hottest_celsius, 0)}\u00a0°C`);
  if (machine.power_watts !== null) state.push(`${number(machine.power_watts, 1)}\u00a0W`);
  if (machine.gpu_load_ratio !== null) state.push(`GPU ${number(100 * machine.gpu_load_ratio, 0)}\u00a0%`);
  if (machine.power_mode) mode.push(`power mode ${machine.power_mode}`);
  if (machine.gpu_frequency_hertz !== null) mode.push(`GPU at ${number(machine.gpu_frequency_hertz / 1e6, 0)}\u00a0MHz`);
  if (machine.throttled) state.push(`throttled: ${machine.throttled}`);
  text('machine', state.join(', '));
  text('machine-mode', mode.join(', '));
}

function rectangle(name) {
  const ns = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(ns, 'svg');
  svg.setAttribute('class', name);
  svg.setAttribute('aria-hidden', 'true');
  const rect = document.createElementNS(ns, 'rect');
  rect.setAttribute('width', '100%');
  rect.setAttribute('height', '100%');
  svg.append(rect);
  return svg;
}

function showClasses(classes, ratios) {
  const list = $('classes');
  while (list.children.length > classes.length) list.lastChild.remove();
  while (list.children.length < classes.length) {
    const item = document.createElement('li');
    const name = document.createElement('span');
    const percent = document.createElement('span');
    name.className = 'name';
    percent.className = 'percent';
    item.append(rectangle('swatch'), name, rectangle('share'), percent);
    list.append(item);
  }
  classes.forEach((c, i) => {
    const [swatch, name, share, percent] = list.children[i].children;
    const ratio = Math.min(1, Math.max(0, ratios[i] || 0));
    if (name.textContent !== c.name) name.textContent = name.title = c.name;
    swatch.firstChild.setAttribute('fill', c.color);
    share.firstChild.setAttribute('fill', c.color);
    share.firstChild.style.width = `${(100 * ratio).toFixed(1)}%`;
    percent.textContent = `${(100 * ratio).toFixed(1)} %`;
  });
}

// Polling

async function look() {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), TIMEOUT_MS);
  try {
    const answer = await fetch('/api/v1/status', { signal: abort.signal, cache: 'no-store' });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return await answer.json();
  } finally {
    clearTimeout(timer);
  }
}

async function poll() {
  clearTimeout(pollTimer);
  try {
    const next = await look();
    const broken = !online || Date.now() - lastContact > GAP_MS || next.uptime_seconds < lastUptime;
    online = true;
    lastContact = Date.now();
    lastUptime = next.uptime_seconds;
    latest = next;
    showCameras();
    shapePicture();
    showFigures();
    if (broken || (previewOf && previewOf !== shown().name)) showPicture();
  } catch {
    online = false;
  }
  showState();
  if (!document.hidden) pollTimer = setTimeout(poll, POLL_MS);
}

// A hidden page costs the daemon nothing.
document.addEventListener('visibilitychange', () => {
  if (document.hidden) {
    clearTimeout(pollTimer);
    stopPreview();
  } else {
    startPreview();
    poll();
  }
});

// Controls

for (const input of document.querySelectorAll('input[name=view]')) {
  input.addEventListener('change', () => {
    view = input.value;
    remember('view', view);
    showPicture();
  });
}

// The clipboard interface exists only on secure addresses, which http://192.168.… is not.
async function copy(el) {
  try {
    await navigator.clipboard.writeText(el.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(el);
    return document.execCommand('copy');
  }
}

for (const button of document.querySelectorAll('[data-copy]')) {
  const label = button.innerHTML;
  button.addEventListener('click', async () => {
    button.textContent = await copy($(button.dataset.copy)) ? 'Copied' : 'Press Ctrl+C';
    setTimeout(() => { button.innerHTML = label; }, 1500);
  });
}

const asked = new URL(location.href).searchParams;
camera = asked.get('camera') || '';
for (const input of document.querySelectorAll('input[name=view]')) {
  if (input.value === asked.get('view')) input.checked = true;
  if (input.checked) view = input.value;
}
// An endless image would keep the browser's loading indicator turning, so it comes after.
addEventListener('load', showPicture);
poll();
