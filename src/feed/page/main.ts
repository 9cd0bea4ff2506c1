/// <reference lib="dom" />
/** Puts the page together: watches the feeds, ticks ten times a second, and says what view.ts has worked out. */
import { type Card, makeCard } from './card.ts';
import { type Chart, makeChart, makeRate } from './chart.ts';
import { byId, element, fillRows, setData, setText } from './dom.ts';
import { makeEventList } from './events.ts';
import { makeStep } from './step.ts';
import { alarm, cards, inStep, type TroubleView, title, troubles, type Watched } from './view.ts';
import { type Sample, Watch } from './watch.ts';
import { clockTime, span } from './words.ts';

const TICK_MS = 100;
/** Two nodes' news do not come at the same moment; an alarm is shown when it lasts. */
const ALARM_AFTER_MS = 1500;
const MAX_FEEDS = 4;

/** Where the feeds are: `?feeds=/fw-a/feed,/fw-b/feed`, paths of this origin only; else this server's own. */
function feedUrls(): URL[] {
  const asked = new URLSearchParams(location.search);
  const paths = (asked.get('feeds') ?? '').split(',').filter((path) => /^\/(?!\/)/.test(path));
  const token = asked.get('token');
  return (paths.length > 0 ? paths : ['feed']).slice(0, MAX_FEEDS).flatMap((path) => {
    const url = new URL(path, location.href);
    if (url.origin !== location.origin) return [];
    url.search = '';
    url.hash = '';
    url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    if (token !== null) url.searchParams.set('token', token);
    return [url];
  });
}

/** "/fw-a/feed" -> "fw-a", to have a name for a node that has not spoken yet. */
function labelOf(url: URL): string {
  return url.pathname.split('/').at(-2) || 'this node';
}

function start(): void {
  const urls = feedUrls();
  const now = performance.now();
  const watched: Watched[] = urls.map((url) => {
    return { label: labelOf(url), link: 'connecting', linkSince: now, status: null, statusAt: now };
  });
  const events = makeEventList();
  const charts = makeCharts();
  const show = makeScreen(watched, Object.values(charts));

  urls.forEach((url, line) => {
    const feed = watched[line]!;
    const change = (news: Partial<Watched>): void => {
      Object.assign(feed, news);
      show();
    };
    new Watch(url, {
      link: (link) => {
        if (feed.link !== link) change({ link, linkSince: performance.now() });
      },
      status: (status) => change({ status, statusAt: performance.now() }),
      events: (list, fresh) => {
        for (const event of list) events.add(event, feed.status?.node ?? feed.label, line);
        if (fresh || !list.some((event) => event.to === 'MASTER')) return;
        for (const chart of Object.values(charts)) chart.mark(performance.now());
      },
      sample: makePlot(charts, line, urls.length === 1),
    }).start();
  });
  show();
  setInterval(show, TICK_MS);
}

function makeCharts(): { states: Chart; bytes: Chart } {
  const charts = { states: makeChart('new states', '/s', 2), bytes: makeChart('sync', 'B/s', 2) };
  byId('charts').append(charts.states.root, charts.bytes.root);
  return charts;
}

/** A node's line; with one feed only, what it receives is the peer's line. */
function makePlot(charts: { states: Chart; bytes: Chart }, line: number, alone: boolean): (sample: Sample) => void {
  const [created, sent, received] = [makeRate(), makeRate(), makeRate()];
  const number = (value: number | string | undefined): number | null => (typeof value === 'number' ? value : null);
  return (sample) => {
    const at = performance.now();
    const time = Date.parse(sample.time);
    charts.states.push(line, created(number(sample.states_created), time), at);
    charts.bytes.push(line, sent(number(sample.sent_bytes), time), at);
    if (alone) charts.bytes.push(1, received(number(sample.received_bytes), time), at);
  };
}

function makeScreen(watched: Watched[], charts: Chart[]): () => void {
  const pair = byId('pair');
  const step = makeStep(byId('step'));
  const cardRows: Card[] = [];
  const showLinks = makeLinks();
  const showAlarm = makeAlarm();
  const showTroubles = makeTroubles();
  const said = byId('said');
  const clock = byId('clock');
  const icon = document.querySelector<HTMLLinkElement>('link[rel=icon]');
  let drawn = Number.NEGATIVE_INFINITY;

  return () => {
    const now = performance.now();
    const shown = cards(watched, now);
    const compared = inStep(watched, now);
    fillRows(pair, cardRows, shown, makeCard, (card, view) => card.show(view));
    const live = watched.find((feed) => feed.link === 'live' && feed.status?.sync);
    step.show(compared, live?.status?.sync ?? null);
    showLinks(watched, now);
    showAlarm(alarm(watched), now);
    showTroubles(troubles(watched, now));
    const heading = title(shown, compared, watched.length);
    if (document.title !== heading) {
      document.title = heading;
      setText(said, compared.reason === null ? heading : `${heading}: ${compared.reason}`);
      if (icon !== null)
        icon.href = iconFor(
          shown.some((card) => card.tone === 'master'),
          compared.answer,
        );
    }
    setText(clock, clockTime(new Date().toISOString(), new Date()));
    if (now - drawn >= 500) {
      drawn = now;
      const names = shown.map((card) => card.name);
      for (const chart of charts) chart.draw(now, names);
    }
  };
}

/** The state of each feed, in the bar on top. */
function makeLinks(): (watched: Watched[], now: number) => void {
  const list = byId('links');
  const rows: { root: HTMLElement }[] = [];
  return (watched, now) => {
    const make = (): { root: HTMLElement } => ({ root: element('li', '') });
    fillRows(list, rows, watched, make, ({ root }, feed) => {
      setData(root, 'link', feed.link);
      setData(root, 'line', String(watched.indexOf(feed)));
      const name = feed.status?.node ?? feed.label;
      const lost = `feed lost ${span(now - feed.linkSince)} ago, trying again`;
      setText(root, `${name}: ${{ live: 'live', connecting: 'connecting', lost }[feed.link]}`);
    });
  };
}

function makeAlarm(): (text: string | null, now: number) => void {
  const place = byId('alarm');
  let since = 0;
  let last: string | null = null;
  return (text, now) => {
    if (text !== last) since = now;
    last = text;
    const shown = text !== null && now - since >= ALARM_AFTER_MS;
    if (place.hidden === shown) place.hidden = !shown;
    if (shown) setText(place, text);
  };
}

/** What is wrong now, each with what to do. */
function makeTroubles(): (shown: TroubleView[]) => void {
  const list = byId('troubles');
  const rows: { root: HTMLElement; text: HTMLElement; mend: HTMLElement }[] = [];
  const make = (): (typeof rows)[number] => {
    const root = element('li', 'trouble');
    const [text, mend] = [element('span', 'what'), element('span', 'mend')];
    root.append(text, mend);
    return { root, text, mend };
  };
  return (shown) => {
    if (list.hidden !== (shown.length === 0)) list.hidden = shown.length === 0;
    fillRows(list, rows, shown, make, (row, view) => {
      setData(row.root, 'severity', view.severity);
      setText(row.text, view.text);
      setText(row.mend, view.mend);
    });
  };
}

/** The tab's icon: a triangle for a pair with a master, a cross without, in the colour of the comparison. */
function iconFor(master: boolean, answer: 'yes' | 'no' | 'unknown'): string {
  const colour = { yes: '#1a7f4b', no: '#c0281f', unknown: '#b07a12' }[answer];
  const shape = master ? 'M8 2l6 12H2z' : 'M2 2l12 12M14 2L2 14';
  const image = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path d="${shape}" fill="${colour}" stroke="${colour}" stroke-width="3"/></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(image)}`;
}

start();
