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
  const missing = one.fields.filter((field) => field.required && !one.mapping[field.name] && !one.fills[field.name] && !one.set[field.name]);
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
    one.locked && !one.status.there && !one.status.doubt && !one.status.running && ["unlock", busy, () => unlock(busy)],
    one.trouble && !isMissing(one, missing) && ["trouble", one.trouble, () => trouble(one.trouble)],
    one.columns && ["columns", [one.columns, one.mapping, one.guessed, one.date_format, one.fields, still, [...asking]], () => table(one, still)],
    one.columns && ["key", [one.key, one.columns, still], () => keyChoice(one, still)],
    one.columns && ["values", [one.fills, one.set, one.mapping, one.fields, still], () => values(one, still)],
    ["reading", [one.encoding, one.delimiter, one.sheet, one.is_sheet, one.skip_title_rows, still], () => reading(one, still)],
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
          h("td", { class: "choice", "data-label": "In the helpdesk" }, choice(one, name, field, known, place, still), field && one.guessed[name] && h("small", { class: "quiet" }, `guessed: ${one.guessed[name]}`), isDate(field) && dateChoice(one, name, place, still)),
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

const unlock = (busy) =>
  h(
    "div",
    { class: "note row" },
    h("span", {}, "Nothing of this file is in the helpdesk, so the columns can still be changed. The journal so far is kept under another name."),
    button("Change the columns", () => act("unlock"), { id: "unlock", disabled: busy }),
  );

const isDate = (field) => /date|deadline|time$|_at$|_on$/i.test(field);

const DATES = ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M"];
const SIGNS = { d: "DD", m: "MM", Y: "YYYY", H: "hh", M: "mm", S: "ss" };
const spelled = (format) => format.replace(/%(.)/g, (all, sign) => SIGNS[sign] || all);

function dateChoice(one, column, place, still) {
  const now = one.date_format[column] || "";
  const known = now && !DATES.includes(now) ? [now, ...DATES] : DATES;
  return h(
    "select",
    { id: `date-${place}`, class: "below", "aria-label": `How dates are written in ${column}`, disabled: still, onchange: (event) => act("columns", { date_format: { [column]: event.target.value } }) },
    h("option", { value: "" }, "dates as they are"),
    known.map((format) => h("option", { value: format, selected: format === now }, spelled(format))),
  );
}

/** What rows get that have no text of their own: fields of the service, and whatever is added. */
function values(one, still) {
  const own = Object.entries(one.fills).map(([name, value]) => [name, value, (text) => act("columns", { fills: { [name]: text } })]);
  const added = Object.entries(one.set).map(([name, value]) => [name, value, (text) => act("columns", { set: { [name]: text } })]);
  const all = [...own, ...added];
  const free = one.fields.map((field) => field.name).filter((name) => !(name in one.set) && !(name in one.fills) && !one.mapping[name]);
  const name = h("input", { type: "text", id: "add-name", list: "free-fields", placeholder: "field", "aria-label": "Field that every row gets", disabled: still, spellcheck: "false", autocapitalize: "off" });
  const text = h("input", { type: "text", id: "add-value", placeholder: "text for all rows", "aria-label": "Its text", disabled: still });
  const add = () => name.value.trim() && text.value.trim() && act("columns", { set: { [name.value.trim()]: text.value.trim() } });
  text.addEventListener("keydown", (event) => event.key === "Enter" && add());
  return h(
    "details",
    { open: all.length > 0 },
    h("summary", {}, "The same for every row"),
    h("p", { class: "quiet" }, "What rows get that have no text of their own for it. Emptied, it is not sent."),
    all.length > 0 &&
      h(
        "div",
        { class: "fields" },
        all.map(([field, value, change]) => h("label", {}, h("span", {}, field), h("input", { type: "text", id: `value-${field}`, value, disabled: still, onchange: (event) => change(event.target.value.trim()) }))),
      ),
    !still && h("div", { class: "joined" }, name, h("datalist", { id: "free-fields" }, free.map((field) => h("option", { value: field }))), text, button("Add", add, { id: "add" })),
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
  const field = (words, input) => h("label", {}, h("span", {}, words), input);
  const change = (name) => (event) => act("columns", { [name]: event.target.value });
  return h(
    "details",
    { open: Boolean(one.encoding || one.delimiter || one.skip_title_rows || !one.columns) },
    h("summary", {}, "Letters or columns look wrong?"),
    h(
      "div",
      { class: "fields" },
      one.is_sheet
        ? field("Sheet", h("input", { type: "text", id: "sheet", value: one.sheet || "", disabled: still, onchange: change("sheet") }))
        : [
            field("Encoding", h("select", { id: "encoding", disabled: still, onchange: change("encoding") }, options(ENCODINGS, one.encoding))),
            field("Between columns", h("select", { id: "delimiter", disabled: still, onchange: change("delimiter") }, options(DELIMITERS, one.delimiter))),
          ],
      field("Rows above the names of the columns", h("input", { type: "text", inputmode: "numeric", id: "title-rows", value: one.skip_title_rows, disabled: still, onchange: change("skip_title_rows") })),
    ),
  );
}
