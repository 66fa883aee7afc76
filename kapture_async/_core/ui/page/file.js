// Step 1: a file is dropped or chosen, or one from before is opened.

import { upload } from "/api.js";
import { act, again, fail, go } from "/app.js";
import { h, button, num, rows, sentence } from "/dom.js";

export const title = () => "Import a file";

let over = false;
let sending = "";

async function take(file) {
  if (!file || sending) return;
  sending = file.name;
  again();
  try {
    await upload(file);
  } catch (error) {
    fail(error);
  } finally {
    sending = "";
    again();
  }
}

export function parts(state) {
  const busy = Boolean(state.activity);
  return [
    ["drop", [over, sending, busy, state.folder], () => dropPlace(state, busy)],
    state.target.trouble && [
      "target",
      state.target.trouble,
      () =>
        h(
          "div",
          { class: "note warn" },
          h("p", { class: "strong" }, sentence(state.target.trouble.message)),
          h("p", {}, state.target.trouble.next_step),
          h("p", { class: "quiet" }, "Files can be mapped and checked without it; nothing can be sent."),
        ),
    ],
    ["listed", [state.listed, state.file?.journal, busy], () => earlier(state, busy)],
  ];
}

function dropPlace(state, busy) {
  const input = h("input", {
    type: "file",
    id: "choose",
    class: "unseen",
    tabindex: "-1",
    "aria-hidden": "true",
    onchange: (event) => take(event.target.files[0]),
  });
  const place = h(
    "section",
    { class: `drop${over ? " over" : ""}`, "aria-label": "A new file" },
    sending
      ? h("p", { class: "lead" }, h("span", { class: "pulse", "aria-hidden": "true" }), `Reading ${sending}`)
      : [
          h("p", { class: "lead" }, "Drop a file of tickets here"),
          button("Choose a file", () => input.click(), { id: "choose-button", class: "main", disabled: busy }),
          input,
        ],
    h(
      "p",
      { class: "quiet" },
      "It is kept in ",
      h("code", {}, state.folder),
      ", with its journal beside it. A file that was pushed before is recognized, and continues with its own journal.",
    ),
  );
  let depth = 0;
  place.addEventListener("dragenter", () => {
    depth += 1;
    place.classList.add("over");
  });
  place.addEventListener("dragleave", () => {
    depth -= 1;
    if (!depth) place.classList.remove("over");
  });
  place.addEventListener("drop", (event) => {
    depth = 0;
    place.classList.remove("over");
    if (!busy) take(event.dataTransfer.files[0]);
  });
  return place;
}

function earlier(state, busy) {
  if (!state.listed.length) return h("div", {});
  return h(
    "section",
    {},
    h("h2", {}, "Files from before"),
    h(
      "ul",
      { class: "cards" },
      state.listed.map((entry, place) => {
        const open = state.file?.journal === entry.journal;
        return h(
          "li",
          { class: open ? "card here" : "card" },
          h("div", { class: "grow" }, h("p", { class: "strong" }, entry.name), entry.counts ? standing(entry.counts) : h("p", { class: "quiet" }, "not pushed yet")),
          open
            ? button("Continue", () => go(entry.counts ? "push" : "columns"), { id: `open-${place}` })
            : button("Open", () => act("open", { path: entry.counts ? entry.journal : entry.file }), {
                id: `open-${place}`,
                disabled: busy,
                "aria-label": `Open ${entry.name}`,
              }),
        );
      }),
    ),
  );
}

function standing(counts) {
  const kinds = [
    ["there", "in the helpdesk"],
    ["absent", "not"],
    ["doubt", "in doubt"],
  ];
  return [
    bar(counts),
    h(
      "p",
      { class: "quiet small" },
      rows(counts.rows),
      kinds.filter(([name]) => counts[name]).map(([name, words]) => [" · ", h("span", { class: name }, `${num(counts[name])} ${words}`)]),
    ),
  ];
}

/** How many rows are where, as a bar of three colours; the numbers stand beside it. */
export function bar(counts, total = counts.rows) {
  const shares = ["there", "absent", "doubt"].map((name) => [name, counts[name] || 0]);
  return h(
    "div",
    { class: "share", "aria-hidden": "true" },
    shares.filter(([, value]) => value).map(([name, value]) => {
      const part = h("span", { class: name });
      part.style.width = `${(100 * value) / Math.max(total, 1)}%`;
      return part;
    }),
  );
}
