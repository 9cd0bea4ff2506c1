/**
 * A small strict reader for the XML of firewall configurations. Elements, text, CDATA, comments, the five named
 * entities and character references; no DTD, no processing instructions, no namespaces. Bounded in size, depth and
 * number of elements.
 */

import type { Item } from '../ledger.ts';

export interface XmlElement extends Item {
  readonly children: readonly XmlElement[];
  readonly attributes: Readonly<Record<string, string>>;
  /** Its text, without white space at both ends; empty for an element with children. */
  readonly text: string;
}

export const XML_LIMITS = { characters: 16 << 20, depth: 64, elements: 500_000, attributes: 32 } as const;

type XmlResult = { ok: true; root: XmlElement } | { ok: false; line: number; error: string };

const NAME = /[A-Za-z_][A-Za-z0-9_.:-]*/y;
const SPACE = /[ \t\r\n]*/y;
const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

interface Open {
  name: string;
  line: number;
  attributes: Record<string, string>;
  children: XmlElement[];
  text: string;
}

class Reader {
  readonly #text: string;
  #at = 0;
  #line = 1;
  #counted = 0;
  #elements = 0;
  readonly #open: Open[] = [];
  #root: XmlElement | null = null;

  constructor(text: string) {
    this.#text = text;
    if (text.charCodeAt(0) === 0xfeff) this.#at = 1;
  }

  /** @throws string what is wrong at the current position */
  read(): XmlElement {
    if (this.#text.length > XML_LIMITS.characters)
      throw `found ${this.#text.length} characters, allowed at most ${XML_LIMITS.characters}`;
    if (/<\?xml[ \t\r\n][^<>]*\?>/y.test(this.#text.slice(this.#at, this.#at + 200)))
      this.#until('?>', 'the XML declaration');
    while (this.#at < this.#text.length) this.#next();
    const open = this.#open.at(-1);
    if (open) throw `the file ends inside <${open.name}> of line ${open.line}: it is cut off`;
    if (!this.#root) throw 'found no element: not an XML file';
    return this.#root;
  }

  line(): number {
    for (; this.#counted < this.#at && this.#counted < this.#text.length; this.#counted++) {
      if (this.#text.charCodeAt(this.#counted) === 10) this.#line++;
    }
    return this.#line;
  }

  #next(): void {
    const text = this.#text;
    if (text[this.#at] !== '<') this.#characters();
    else if (text.startsWith('<!--', this.#at)) this.#until('-->', 'a comment');
    else if (text.startsWith('<![CDATA[', this.#at)) this.#cdata();
    else if (text.startsWith('<!', this.#at)) throw 'found a DTD or another declaration, which is not allowed here';
    else if (text.startsWith('<?', this.#at)) throw 'found a processing instruction, which is not allowed here';
    else if (text.startsWith('</', this.#at)) this.#endTag();
    else this.#startTag();
  }

  #until(end: string, what: string): string {
    const start = this.#at;
    const found = this.#text.indexOf(end, start);
    if (found < 0) throw `${what} does not end: ${end} is missing`;
    this.#at = found + end.length;
    return this.#text.slice(start, found);
  }

  #characters(): void {
    const end = this.#text.indexOf('<', this.#at);
    const raw = this.#text.slice(this.#at, end < 0 ? undefined : end);
    const text = this.#decode(raw);
    const open = this.#open.at(-1);
    if (open) open.text += text;
    else if (text.trim() !== '') throw 'found text outside of the root element';
    this.#at = end < 0 ? this.#text.length : end;
  }

  #cdata(): void {
    const text = this.#until(']]>', 'a CDATA section').slice('<![CDATA['.length);
    const open = this.#open.at(-1);
    if (!open) throw 'found text outside of the root element';
    open.text += text;
  }

  #decode(raw: string): string {
    if (!raw.includes('&')) return raw;
    return raw.replace(/&([^;&<]{0,16})(;?)/g, (_, name: string, end: string) => {
      const known = ENTITIES[name];
      if (known !== undefined && end) return known;
      const [, hex, decimal] = /^#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}))$/.exec(name) ?? [];
      const code = hex ? Number.parseInt(hex, 16) : Number(decimal);
      if (!end || !(code > 0 && code <= 0x10ffff))
        throw 'found an "&" that is none of &amp; &lt; &gt; &quot; &apos; &#number;';
      return String.fromCodePoint(code);
    });
  }

  #name(): string {
    NAME.lastIndex = this.#at;
    const [name] = NAME.exec(this.#text) ?? [];
    if (name === undefined) throw 'found "<" or an attribute without a name; a "<" in a text is written &lt;';
    this.#at += name.length;
    return name;
  }

  #space(): boolean {
    SPACE.lastIndex = this.#at;
    const length = SPACE.exec(this.#text)?.[0].length ?? 0;
    this.#at += length;
    return length > 0;
  }

  #startTag(): void {
    const line = this.line();
    if (this.#root && this.#open.length === 0) throw 'found a second root element';
    if (this.#open.length >= XML_LIMITS.depth) throw `found elements nested deeper than ${XML_LIMITS.depth}`;
    if (++this.#elements > XML_LIMITS.elements) throw `found more than ${XML_LIMITS.elements} elements`;
    this.#at++;
    const name = this.#name();
    const attributes = this.#attributes(name);
    this.#open.push({ name, line, attributes, children: [], text: '' });
    if (this.#text[this.#at] === '/') {
      this.#at++;
      this.#close();
    }
    if (this.#text[this.#at] !== '>') throw `<${name}> is not closed with ">"`;
    this.#at++;
  }

  #attributes(element: string): Record<string, string> {
    const attributes: Record<string, string> = Object.create(null);
    for (let count = 0; this.#space() && !/[/>]/.test(this.#text[this.#at] ?? '>'); count++) {
      if (count >= XML_LIMITS.attributes) throw `<${element}> has more than ${XML_LIMITS.attributes} attributes`;
      const name = this.#name();
      this.#space();
      if (this.#text[this.#at] !== '=') throw `attribute ${name} of <${element}> has no value`;
      this.#at++;
      this.#space();
      const quote = this.#text[this.#at];
      if (quote !== '"' && quote !== "'") throw `the value of ${name} of <${element}> is not quoted`;
      this.#at++;
      attributes[name] = this.#decode(this.#until(quote, `the value of ${name}`));
    }
    return attributes;
  }

  #endTag(): void {
    this.#at += 2;
    const name = this.#name();
    this.#space();
    if (this.#text[this.#at] !== '>') throw `</${name}> is not closed with ">"`;
    const open = this.#open.at(-1);
    if (open?.name !== name)
      throw `found </${name}>, expected ${open ? `</${open.name}> (opened on line ${open.line})` : 'nothing'}`;
    this.#at++;
    this.#close();
  }

  #close(): void {
    const open = this.#open.pop()!;
    const text = open.text.trim();
    if (text !== '' && open.children.length > 0)
      throw `found text beside the elements in <${open.name}> of line ${open.line}`;
    const element: XmlElement = { ...open, text };
    const parent = this.#open.at(-1);
    if (parent) parent.children.push(element);
    else this.#root = element;
  }
}

/** Reads a document. Never throws. */
export function readXml(text: string): XmlResult {
  const reader = new Reader(text);
  try {
    return { ok: true, root: reader.read() };
  } catch (error) {
    if (typeof error !== 'string') throw error;
    return { ok: false, line: reader.line(), error };
  }
}

/** The first child of that name. */
export function child(element: XmlElement | null | undefined, name: string): XmlElement | null {
  return element?.children.find((one) => one.name === name) ?? null;
}

export function childrenOf(element: XmlElement | null | undefined, name: string): XmlElement[] {
  return element?.children.filter((one) => one.name === name) ?? [];
}

/** The element at a path of names below `element`. */
export function at(element: XmlElement | null, ...path: readonly string[]): XmlElement | null {
  return path.reduce<XmlElement | null>((one, name) => child(one, name), element);
}
