// Step 2: which column goes where.

import { act, go } from "/app.js";
import { h, button, trouble } from "/dom.js";

export const title = (state) => (state.file?.locked ? "What is sent" : "Which column is what?");

const OTHER = "\u0000other";
const asking = new Set();

export function parts(state) {
  const one = state.file;
  const busy = Boolean(state.activity);
  const still = one.locked || busy;
  const missing = one.fields.filter((field) => field.required && !one.mapping[field.name] && !one.fills[field.name]);
  const blocked = missing.length > 0 || !one.columns || (one.trouble && !one.plan);
  return [
    [
      "words",
      [one.locked, one.name],
      () =>
        h(
          "p",
          { class: "lede" },
          one.locked
            ? "The journal was made with these columns. They stay as they are, so that a resumed push sends the same tickets."
            : ["Choose for each column of ", h("strong", {}, one.name), " what it is in the helpdesk. What you do not choose is not sent."],
        ),
    ],
    one.trouble && !isMissing(one, missing) && ["trouble", one.trouble, () => trouble(one.trouble)],
    one.columns && ["columns", [one.columns, one.mapping, one.fields, still, [...asking]], () => table(one, still)],
    Object.keys(one.fills).length > 0 && ["fills", [one.fills, still], () => fills(one, still)],
    one.columns && ["key", [one.key, one.columns, still], () => keyChoice(one, still)],
    one.columns && ["reading", [one.encoding, one.delimiter, still], () => reading(one, still)],
    [
      "next",
      [missing, blocked],
      () =>
        h(
          "div",
          { class: "actions" },
          button("Check the rows", () => go("check"), {
            id: "to-check",
            class: "main",
            disabled: blocked,
          }),
          missing.length > 0 && h("span", { class: "quiet" }, "Choose a column for ", missing.map((field, place) => [place ? ", " : "", h("code", {}, field.name)]), "."),
        ),
    ],
  ];
}

const isMissing = (one, missing) => missing.length > 0 && one.columns;

function fieldOf(one, column) {
  const found = Object.entries(one.mapping).find(([, name]) => name === column);
  return found ? found[0] : "";
}

const choose = (column, field) => act("columns", { column, field });

// Arrow keys and letters pass through several choices: only the one that is kept is sent.
const SETTLED = 350;
const settling = new Map();
function chooseSoon(column, field) {
  clearTimeout(settling.get(column));
  settling.set(
    column,
    setTimeout(() => choose(column, field), SETTLED),
  );
}

function table(one, still) {
  const known = one.fields.map((field) => field.name);
  return h(
    "table",
    { class: "list" },
    h("caption", { class: "unseen" }, "Columns of the file"),
    h("thead", {}, h("tr", {}, ["Column", "First texts", "In the helpdesk"].map((words) => h("th", { scope: "col" }, words)))),
    h(
      "tbody",
      {},
      one.columns.map(({ name, samples }, place) => {
        const field = fieldOf(one, name);
        return h(
          "tr",
          { class: field ? "sent" : "" },
          h("th", { scope: "row" }, name),
          h("td", { class: "samples", "data-label": "First texts" }, samples.length ? samples.slice(0, 2).map((text) => h("span", {}, text)) : h("span", { class: "quiet" }, "empty")),
          h("td", { class: "choice", "data-label": "In the helpdesk" }, choice(one, name, field, known, place, still)),
        );
      }),
    ),
  );
}

function choice(one, column, field, known, place, still) {
  const own = field && !known.includes(field);
  const select = h(
    "select",
    {
      id: `column-${place}`,
      "aria-label": `${column} is sent as`,
      disabled: still,
      onchange: (event) => {
        const value = event.target.value;
        if (value === OTHER) {
          asking.add(column);
          event.target.replaceWith(otherField(column, place));
          document.getElementById(`column-${place}`).focus();
        } else chooseSoon(column, value);
      },
    },
    h("option", { value: "" }, "– not sent –"),
    one.fields.map(({ name, required }) => {
      const taken = name !== field && one.mapping[name];
      const words = taken ? `${name}: ${taken}` : required ? `${name} (needed)` : name;
      return h("option", { value: name, selected: name === field, disabled: Boolean(taken) }, words);
    }),
    own && h("option", { value: field, selected: true }, field),
    h("option", { value: OTHER }, "Another field…"),
  );
  return select;
}

function otherField(column, place) {
  return h("input", {
    id: `column-${place}`,
    type: "text",
    placeholder: "name of the field",
    "aria-label": `${column} is sent as the field`,
    spellcheck: "false",
    autocapitalize: "off",
    onkeydown: (event) => {
      if (event.key === "Enter") event.target.blur();
      if (event.key === "Escape") {
        event.target.value = "";
        event.target.blur();
      }
    },
    onblur: (event) => {
      asking.delete(column);
      choose(column, event.target.value.trim());
    },
  });
}

function fills(one, still) {
  return h(
    "section",
    {},
    h("h2", {}, "For rows without their own"),
    h("p", { class: "quiet" }, "What every row gets that has no text of its own in the column."),
    h(
      "div",
      { class: "fields" },
      Object.entries(one.fills).map(([name, value]) =>
        h(
          "label",
          {},
          h("span", {}, name),
          h("input", { type: "text", id: `fill-${name}`, value, disabled: still, onchange: (event) => act("columns", { fills: { [name]: event.target.value.trim() } }) }),
        ),
      ),
    ),
  );
}

function keyChoice(one, still) {
  return h(
    "section",
    {},
    h("h2", {}, "How rows are told apart"),
    h("p", { class: "quiet" }, "A column with a number or name of its own in each row. With it, a corrected row is recognized when you push the file again; without it, rows are recognized by their text."),
    h(
      "select",
      { id: "key", "aria-label": "Column that tells rows apart", disabled: still, onchange: (event) => act("columns", { key: event.target.value }) },
      h("option", { value: "" }, "By their text"),
      one.columns.map(({ name }) => h("option", { value: name, selected: name === one.key }, name)),
    ),
  );
}

const ENCODINGS = [
  ["", "Found by itself (UTF-8)"],
  ["cp1252", "Windows, Western Europe (cp1252)"],
  ["cp1250", "Windows, Central Europe (cp1250)"],
  ["cp1251", "Windows, Cyrillic (cp1251)"],
  ["iso-8859-1", "Latin 1 (iso-8859-1)"],
  ["utf-16-le", "UTF-16 (little endian)"],
];
const DELIMITERS = [
  ["", "Found by itself"],
  [",", "Comma"],
  [";", "Semicolon"],
  ["\t", "Tab"],
  ["|", "Vertical bar"],
];

function reading(one, still) {
  const options = (list, value) => list.map(([name, words]) => h("option", { value: name, selected: name === (value || "") }, words));
  return h(
    "details",
    { open: Boolean(one.encoding || one.delimiter) },
    h("summary", {}, "Letters or columns look wrong?"),
    h(
      "div",
      { class: "fields" },
      h("label", {}, h("span", {}, "Encoding"), h("select", { id: "encoding", disabled: still, onchange: (event) => act("columns", { encoding: event.target.value }) }, options(ENCODINGS, one.encoding))),
      h("label", {}, h("span", {}, "Between columns"), h("select", { id: "delimiter", disabled: still, onchange: (event) => act("columns", { delimiter: event.target.value }) }, options(DELIMITERS, one.delimiter))),
    ),
  );
}

