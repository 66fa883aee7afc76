// Step 3: what a push would do, with its findings beside the cells. Nothing is sent.

import { get } from "/api.js";
import { again, fail, go } from "/app.js";
import { h, button, num, rows, sentence, trouble } from "/dom.js";

export const title = () => "Check the rows";

let which = "first";
let shown = { number: null, which: null, rows: null };

async function fetchRows(number) {
  if (shown.number === number && shown.which === which) return;
  const wanted = { number, which, rows: shown.which === which ? shown.rows : null };
  shown = wanted;
  try {
    const found = await get(`rows?which=${which}`);
    if (shown === wanted) {
      shown.rows = found.rows;
      again();
    }
  } catch (error) {
    fail(error);
  }
}

export function parts(state) {
  const one = state.file;
  const plan = one.plan;
  if (!plan) {
    return [
      one.trouble && ["trouble", one.trouble, () => trouble(one.trouble)],
      ["none", 1, () => h("p", { class: "lede" }, one.trouble ? "Once that is cured, the rows can be checked." : "Reading the file…")],
    ];
  }
  const ready = plan.done ? `done ${one.plan_number}` : "begun";
  fetchRows(plan.rows >= 25 || plan.done ? ready : `${plan.rows}`);
  return [
    ["words", plan.done, () => h("p", { class: "lede" }, plan.done ? "This is what a push would do. Nothing has been sent." : "Reading the file to its end; nothing is sent.")],
    ["tiles", [plan.done, plan.rows, plan.bad, plan.to_send, plan.there, plan.doubt, plan.second, plan.repeated], () => tiles(plan)],
    plan.unreadable && ["unreadable", plan.unreadable, () => trouble({ message: plan.unreadable, next_step: "The rows before it can be sent." })],
    plan.stops && ["stops", 1, () => h("div", { class: "note warn" }, h("p", { class: "strong" }, "A push would stop: these rows are known under other keys."), h("p", {}, "Many of the first rows with new keys have the text of rows that were pushed before. Has the column of the keys changed?"))],
    plan.remarks.length > 0 && ["remarks", plan.remarks, () => remarks(plan)],
    ["rows", [shown.rows, which, plan.used, plan.done, plan.bad], () => table(plan, one)],
    [
      "next",
      [plan.done, plan.to_send],
      () =>
        h(
          "div",
          { class: "actions" },
          button("Try one ticket", () => go("trial"), { id: "to-trial", class: "main", disabled: !plan.done || !plan.to_send }),
          button("Back to the columns", () => go("columns"), { id: "to-columns" }),
        ),
    ],
  ];
}

function tiles(plan) {
  const list = [
    ["", plan.rows, plan.done ? "rows in the file" : "rows read so far", ""],
    ["main", plan.to_send, "to send", ""],
    [plan.bad ? "bad" : "", plan.bad, "cannot be sent", plan.bad ? "the others can" : ""],
    plan.there && ["there", plan.there, "in the helpdesk", "by the journal"],
    plan.doubt && ["doubt", plan.doubt, "in doubt", "not sent again"],
    plan.second && ["bad", plan.second, "second rows", "an earlier row has the key"],
    plan.repeated && ["", plan.repeated, "repeated", "same key, same text"],
  ];
  return h(
    "dl",
    { class: "tiles" },
    list.filter(Boolean).map(([kind, value, words, more]) => h("div", { class: `tile ${kind}` }, h("dt", {}, words), h("dd", { class: "figure" }, num(value)), more && h("dd", { class: "quiet small" }, more))),
  );
}

function remarks(plan) {
  return h(
    "section",
    {},
    h("h2", {}, "Worth a look"),
    h("p", { class: "quiet" }, "These rows can be sent as they are; something in them looks wrong."),
    h(
      "ul",
      { class: "remarks" },
      plan.remarks.slice(0, 12).map((remark) =>
        h(
          "li",
          {},
          h("span", { class: "count" }, num(remark.rows)),
          h("span", {}, remark.field && [h("code", {}, remark.field), " "], sentence(remark.words)),
          h("span", { class: "quiet small" }, `${remark.lines.length === 1 ? "line" : "lines"} ${remark.lines.join(", ")}${remark.rows > remark.lines.length ? " …" : ""}`),
        ),
      ),
      plan.remarks.length > 12 && h("li", {}, h("span", { class: "quiet" }, `and ${plan.remarks.length - 12} other kinds`)),
    ),
  );
}

function table(plan, one) {
  const list = shown.rows || [];
  const names = [...new Set([...Object.keys(plan.used), ...list.flatMap((row) => Object.keys(row.cells))])].filter((name) => name !== "_raw");
  const marked = plan.bad || plan.remarks.length;
  const chooser = h(
    "div",
    { class: "segments", role: "group", "aria-label": "Which rows are shown" },
    [
      ["first", "First rows"],
      ["marked", "Rows with findings"],
    ].map(([name, words]) =>
      button(
        words,
        () => {
          which = name;
          again();
        },
        { id: `which-${name}`, "aria-pressed": String(which === name), disabled: name === "marked" && !marked },
      ),
    ),
  );
  return h(
    "section",
    {},
    h("div", { class: "row" }, h("h2", {}, "Rows as they would be sent"), chooser),
    !list.length
      ? h("p", { class: "quiet" }, which === "marked" ? "No row has a finding." : "No rows yet.")
      : h(
          "div",
          { class: "scroll", tabindex: "0", role: "region", "aria-label": "Rows" },
          h(
            "table",
            { class: "cells" },
            h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Line"), one.key && h("th", { scope: "col" }, "Key"), names.map((name) => h("th", { scope: "col" }, name, plan.used[name] && plan.used[name] !== name && h("small", {}, plan.used[name]))))),
            h("tbody", {}, list.map((row) => tableRow(row, names, one.key))),
          ),
        ),
    which === "marked" && list.length >= 200 && h("p", { class: "quiet small" }, "The first 200; `plan` lists all."),
  );
}

function tableRow(row, names, keyed) {
  const rest = Object.entries(row.findings).filter(([name]) => !names.includes(name));
  const told = Object.keys(row.findings).some((name) => names.includes(name));
  return h(
    "tr",
    { class: row.problem ? "bad" : "" },
    h(
      "th",
      { scope: "row", "data-label": "Line" },
      num(row.line),
      rest.map(([name, said]) => said.map((words) => mark(row.problem ? `${name ? `${name}: ` : ""}${words}` : words, row.problem))),
      row.problem && !told && !rest.length && mark(row.problem.replace(/^line \d+: /, ""), true),
    ),
    keyed && h("td", { "data-label": "Key" }, row.key || h("span", { class: "quiet" }, "none")),
    names.map((name) => {
      const said = row.findings[name] || [];
      return h(
        "td",
        { "data-label": name, class: said.length ? (row.problem ? "wrong" : "odd") : "" },
        h("span", { class: "text" }, row.cells[name] ?? ""),
        said.map((words) => mark(words, row.problem)),
      );
    }),
  );
}

const mark = (words, bad) => h("span", { class: bad ? "finding bad" : "finding" }, sentence(words));

export { rows };
