// Elements made from data. Text only ever becomes text: nothing here parses HTML, and the
// server's policy refuses whatever would.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

export const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);
export const svg = (tag, props, ...children) =>
  fill(document.createElementNS(SVG, tag), props, children);

/** A link to a ticket, if its address is one of the web; else only its words. */
export function ticketLink(address, words, props = {}) {
  let url = null;
  try {
    url = new URL(address);
  } catch {
    return words;
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") return words;
  return h(
    "a",
    { ...props, href: url.href, target: "_blank", rel: "noopener noreferrer" },
    words,
    h("span", { class: "unseen" }, " (opens in a new tab)"),
  );
}

export const button = (words, onclick, props = {}) =>
  h("button", { type: "button", ...props, onclick }, words);

const whole = new Intl.NumberFormat("en");
const decimal = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
export const num = (value) => (value === null || value === undefined ? "–" : whole.format(value));
export const rate = (value) => (value < 10 ? decimal.format(value) : whole.format(Math.round(value)));
export const rows = (value) => `${num(value)} ${value === 1 ? "row" : "rows"}`;

export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s`;
  return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} min`;
}

export const clock = (at) =>
  new Date(at * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** A list of names and texts. */
export const facts = (fields, props = {}) =>
  h(
    "dl",
    { class: "facts", ...props },
    Object.entries(fields).map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]),
  );

/** What went wrong, and what to do. */
export const trouble = (said, props = {}) =>
  said &&
  h(
    "div",
    { class: "note bad", role: "alert", ...props },
    h("p", { class: "strong" }, sentence(said.message)),
    said.next_step ? h("p", {}, said.next_step) : null,
  );

export function sentence(text) {
  const said = (text || "").trim();
  if (!said) return "";
  const start = said[0].toUpperCase() + said.slice(1);
  return /[.!?…]$/.test(start) ? start : `${start}.`;
}

/**
 * Shows parts one below the other. A part is made anew only when its key has changed, so that
 * what somebody is typing or has chosen stays; the focus stays with the element of the same id.
 */
export class Parts {
  #root;
  #shown = new Map();

  constructor(root) {
    this.#root = root;
  }

  show(parts) {
    const wanted = parts.filter(Boolean);
    const names = wanted.map(([name]) => name);
    for (const [name, { node }] of this.#shown) {
      if (!names.includes(name)) {
        node.remove();
        this.#shown.delete(name);
      }
    }
    let before = null;
    for (const [name, data, make] of wanted) {
      const key = JSON.stringify(data);
      let shown = this.#shown.get(name);
      if (!shown || shown.key !== key) {
        const node = make();
        const focused = shown?.node.contains(document.activeElement) && document.activeElement.id;
        if (shown) shown.node.replaceWith(node);
        shown = { key, node };
        this.#shown.set(name, shown);
        if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
      }
      const place = before ? before.nextSibling : this.#root.firstChild;
      if (shown.node !== place) this.#root.insertBefore(shown.node, place);
      before = shown.node;
    }
  }

  clear() {
    this.#root.replaceChildren();
    this.#shown.clear();
  }
}
