// As much of DOMParser as reading an MPD takes, for Node.

const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
const text = (s) => s.replace(/&(\w+);/g, (whole, name) => ENTITIES[name] ?? whole);

class Element {
  constructor(name, attributes) {
    this.localName = name.split(":").at(-1);
    this.attributes = attributes;
    this.children = [];
    this.own = "";
  }
  get textContent() {
    return this.own + this.children.map((c) => c.textContent).join("");
  }
  getAttribute(name) {
    return this.attributes.get(name) ?? null;
  }
  hasAttribute(name) {
    return this.attributes.has(name);
  }
}

export class DOMParser {
  parseFromString(source) {
    const root = new Element("", new Map()), open = [root];
    for (const m of source.matchAll(/<!\[CDATA\[([\s\S]*?)\]\]>|<[?!][^>]*>|<(\/?)([\w:]+)((?:\s+[\w:]+="[^"]*")*)\s*(\/?)>|([^<]+)/g)) {
      const [, cdata, closes, name, attributes, empty, chars] = m;
      if (cdata !== undefined || chars !== undefined) open.at(-1).own += cdata ?? text(chars);
      else if (closes) open.pop();
      else if (name) {
        const e = new Element(name, new Map([...attributes.matchAll(/([\w:]+)="([^"]*)"/g)].map((a) => [a[1], text(a[2])])));
        open.at(-1).children.push(e);
        if (!empty) open.push(e);
      }
    }
    return { documentElement: root.children[0] };
  }
}
