/// <reference lib="dom" />
/** Building and changing elements. Text only ever goes in as text; nothing from the wire is read as HTML. */

type Content = Node | string;

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  ...content: Content[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className !== '') made.className = className;
  made.append(...content);
  return made;
}

export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Record<string, string>,
): SVGElementTagNameMap[K] {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found;
}

/** Changes text only when it differs: the page ticks ten times a second and must cost nothing. */
export function setText(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

export function setData(target: HTMLElement, name: string, value: string): void {
  if (target.dataset[name] !== value) target.dataset[name] = value;
}

/** Gives `parent` as many rows as there are items, keeps those it has, and fills each. */
export function fillRows<Row extends { root: HTMLElement }, Item>(
  parent: HTMLElement,
  rows: Row[],
  items: Item[],
  make: () => Row,
  fill: (row: Row, item: Item) => void,
): void {
  while (rows.length > items.length) rows.pop()!.root.remove();
  while (rows.length < items.length) {
    const row = make();
    rows.push(row);
    parent.append(row.root);
  }
  items.forEach((item, n) => {
    fill(rows[n]!, item);
  });
}
