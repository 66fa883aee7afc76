// Step 6: the rows in doubt, one by one: the row on the left, the tickets that may be it on the right.

import { get } from "/api.js";
import { act, again, fail, go } from "/app.js";
import { h, button, duration, facts, num, rows, sentence, ticketLink, trouble } from "/dom.js";

export const title = () => "Rows in doubt";

let list = { of: null, doubts: null };
let current = null;
let detail = { key: null, said: null };
let confirming = false;
let last = null; // the decision that can be taken back
let wanted = null; // the row of one that was: it is shown as soon as it is in the list again
const left = new Set();

async function fetchList(of) {
  if (list.of === of) return;
  const wanted = { of, doubts: list.doubts };
  list = wanted;
  try {
    const found = await get("doubts");
    if (list === wanted) {
      list.doubts = found.doubts;
      again();
    }
  } catch (error) {
    fail(error);
  }
}

async function fetchDetail(key, row) {
  if (detail.key === key) return;
  const wanted = { key, said: null };
  detail = wanted;
  try {
    const said = await get(`doubts/${row}`);
    if (detail === wanted) {
      detail.said = said;
      again();
    }
  } catch {
    if (detail === wanted) detail.key = null; // it was resolved meanwhile; the list follows
  }
}

export function parts(state) {
  const one = state.file;
  const status = one.status;
  const busy = Boolean(state.activity);
  const looking = state.activity?.kind === "lookup" ? state.activity : null;
  if (last?.journal !== one.journal) last = null;
  const decided = last && !busy && ["decided", last, () => lastDecision()];
  if (!status.doubt) {
    return [
      decided,
      ["none", [status.sendable, Boolean(status.unread), one.found], () => noneLeft(status, one.found)],
    ];
  }
  if (state.activity?.kind === "push" || status.running) {
    return [["wait", 1, () => h("p", { class: "lede" }, "A push is running. What is in flight now looks in doubt until its answer comes; come back when it has finished.")]];
  }
  fetchList(`${one.journal} ${one.doubts_number}`);
  const doubts = list.doubts || [];
  const undone = wanted && doubts.find((doubt) => doubt.key === wanted.key && doubt.line === wanted.line);
  if (undone) {
    current = undone.row;
    wanted = null;
  }
  if (!doubts.some((doubt) => doubt.row === current)) {
    current = (doubts.find((doubt) => !left.has(doubt.row)) || doubts[0])?.row ?? null;
    confirming = false;
  }
  const place = doubts.findIndex((doubt) => doubt.row === current);
  const doubt = doubts[place];
  if (doubt) fetchDetail(`${list.of} ${doubt.row}`, doubt.row);
  const unlooked = status.unknown;
  return [
    ["lookup", [busy, looking, unlooked, one.found, looking?.until && Math.ceil(looking.until - Date.now() / 1000), status.doubt], () => lookup(state, one, looking, unlooked, busy)],
    decided,
    doubt && !looking && ["place", [place, doubts.length, status.doubt, left.has(doubt.row)], () => pager(doubts, place, status)],
    doubt && !looking && ["pair", [doubt, detail.key, Boolean(detail.said), confirming, busy, left.has(doubt.row)], () => pair(one.journal, doubt, detail.said, busy, doubts)],
  ];
}

function noneLeft(status, found) {
  const more = status.sendable || status.unread;
  return h(
    "div",
    { class: "stack" },
    h("p", { class: "lede" }, "No row is in doubt: of each it is known whether it is in the helpdesk."),
    found && h("p", { class: "quiet" }, summary(found)),
    more && h("div", { class: "actions" }, button(status.sendable ? `Push the ${rows(status.sendable)} that are not there` : "Push the rest", () => go("push"), { id: "to-push", class: "main" })),
  );
}

function lookup(state, one, looking, unlooked, busy) {
  if (looking) {
    const seconds = looking.until === null ? null : looking.until - Date.now() / 1000;
    return h(
      "section",
      { class: "panel" },
      h("p", { class: "lead still" }, h("span", { class: "pulse", "aria-hidden": "true" }), h("span", {}, sentence(looking.words || "looking up"), seconds !== null && seconds > 0 && h("span", { class: "number quiet" }, ` ${duration(seconds)} left.`))),
      h("p", { class: "quiet" }, "A lost answer does not mean that the helpdesk has finished: it may still create the ticket. Stopping the wait changes nothing."),
      h("div", { class: "actions" }, button("Stop", () => act("stop"), { id: "stop", disabled: looking.stopping })),
    );
  }
  const found = one.found;
  return h(
    "section",
    { class: "panel" },
    h(
      "p",
      {},
      h("strong", {}, rows(one.status.doubt)),
      " may or may not be in the helpdesk. None of them is sent again before that is known.",
    ),
    found && h("p", { class: "quiet" }, summary(found)),
    unlooked > 0 &&
      h(
        "div",
        { class: "actions" },
        button(found ? "Look them up again" : `Look ${rows(unlooked)} up in the helpdesk`, () => act("lookup"), { id: "lookup", class: "main", disabled: busy || Boolean(state.target.trouble) }),
        found?.unconfirmed > 0 && button("Take what is not found for absent", () => act("lookup", { assume_complete: true }), { id: "lookup-complete", disabled: busy }),
        found?.unconfirmed > 0 && h("span", { class: "quiet small" }, "Only if a list of your helpdesk is sure to show every ticket."),
      ),
  );
}

function summary(found) {
  const kinds = [
    ["present", "in the helpdesk"],
    ["absent", "not there, and free to be sent"],
    ["ambiguous", "found more than once"],
    ["probable", "perhaps found"],
    ["open", "not found, which proves nothing"],
  ];
  const words = kinds.filter(([name]) => found[name]).map(([name, said]) => `${num(found[name])} ${said}`);
  return `The last lookup found: ${words.join(" · ") || "nothing new"}.`;
}

function pager(doubts, place, status) {
  const turn = (by) => () => {
    current = doubts[(place + by + doubts.length) % doubts.length].row;
    confirming = false;
    again();
  };
  return h(
    "div",
    { class: "row pager" },
    h("h2", { id: "doubt-place" }, `${num(place + 1)} of ${num(doubts.length)}`, status.doubt > doubts.length && h("small", {}, ` (${num(status.doubt)} in all)`)),
    h("div", { class: "actions" }, button("← Previous", turn(-1), { id: "previous", disabled: doubts.length < 2 }), button("Next →", turn(1), { id: "next", disabled: doubts.length < 2 })),
  );
}

const WHY = {
  unknown: "Its answer was lost.",
  ambiguous: "Several tickets have its reference or its content.",
  probable: "A ticket without a reference may be it.",
};

function lastDecision() {
  const { journal, key, line, words } = last;
  const undo = async () => {
    if (await act("undo", { key, line })) wanted = { key, line }; // else the page says why not
    if (last?.journal === journal) last = null;
    again();
  };
  return h("div", { class: "note row", role: "status" }, h("span", {}, words), button("Undo", undo, { id: "undo" }));
}

function pair(journal, doubt, said, busy, doubts) {
  const name = doubt.key !== null ? doubt.key : `line ${num(doubt.line)}`;
  const decide = async (body) => {
    confirming = false;
    const place = doubts.findIndex((one) => one.row === doubt.row);
    const following = doubts[place + 1] || doubts[place - 1];
    const done = await act("resolve", { key: doubt.key, line: doubt.line, ...body });
    if (done) {
      last = { journal, key: doubt.key, line: doubt.line, words: `Row ${name} is ${body.absent ? "not in the helpdesk; it is sent with the next push" : `ticket ${body.present}`}.` };
      if (following) current = following.row;
    }
    again();
  };
  const sent = new Date(doubt.sent);
  return h(
    "div",
    { class: "pair" },
    h(
      "section",
      { class: "panel", "aria-label": "The row" },
      h("h3", {}, "Row ", h("strong", { class: "number" }, name)),
      h("p", { class: "quiet" }, sentence(doubt.why_open || WHY[doubt.state] || ""), doubt.why ? ` ${sentence(doubt.why)}` : ""),
      said === null ? h("p", { class: "quiet" }, "…") : said.content ? facts(said.content) : h("p", { class: "quiet" }, "The journal does not hold its text; look at the file."),
      h("p", { class: "quiet small" }, `Sent ${sent.toLocaleString("en-GB")}`, doubt.tries > 1 && `, ${num(doubt.tries)} times`, doubt.reference && [" · reference ", h("code", {}, doubt.reference)]),
    ),
    h(
      "section",
      { "aria-label": "Tickets that may be it" },
      h("h3", {}, said?.tickets.length ? `${said.tickets.length === 1 ? "A ticket" : `${said.tickets.length} tickets`} that may be it` : "Tickets that may be it"),
      said && trouble(said.trouble),
      said === null
        ? h("p", { class: "quiet" }, "Asking the helpdesk…")
        : said.tickets.length
          ? said.tickets.map((ticket, place) => candidate(ticket, place, decide, busy, said.trouble))
          : h("p", { class: "quiet" }, doubt.state === "unknown" && !doubt.lookups ? "None yet: look it up first." : "No lookup found any. You may know more than a list shows."),
      decision(doubt, said, decide, busy, doubts),
    ),
  );
}

function candidate(ticket, place, decide, busy, failed) {
  const { url, title, subject, ...more } = ticket.fields;
  const words = title || subject;
  return h(
    "article",
    { class: "panel candidate" },
    h("p", { class: "row" }, h("span", {}, h("strong", { class: "number" }, ticket.id), words && ` ${words}`), url && ticketLink(url, "Open")),
    ticket.found ? facts(more) : h("p", { class: "quiet" }, failed ? "It could not be asked for." : "The helpdesk does not show it any more."),
    h("div", { class: "actions" }, button("It is this one", () => decide({ present: ticket.id }), { id: `is-${place}`, class: "main", disabled: busy, "aria-label": `It is ticket ${ticket.id}` })),
  );
}

function decision(doubt, said, decide, busy, doubts) {
  if (confirming) {
    const seen = said?.tickets.length;
    return h(
      "div",
      { class: "note warn" },
      h("p", { class: "strong" }, "It is sent with the next push."),
      h("p", {}, seen ? `A lookup found ${seen === 1 ? "a ticket" : `${seen} tickets`} that may be it. If it is there after all, it will be there twice.` : "If it is there after all, it will be there twice."),
      h("div", { class: "actions" }, button("Yes, it is not there", () => decide({ absent: true }), { id: "absent-yes", class: "main", disabled: busy }), button("Cancel", () => ask(false), { id: "absent-no" })),
    );
  }
  const other = h("input", { type: "text", id: "other-id", placeholder: "ticket id", "aria-label": "Id of another ticket", spellcheck: "false", autocomplete: "off" });
  const known = () => other.value.trim() && decide({ present: other.value.trim() });
  other.addEventListener("keydown", (event) => event.key === "Enter" && known());
  return h(
    "div",
    { class: "decide" },
    h("div", { class: "joined" }, other, button("It is that ticket", known, { id: "is-other", disabled: busy })),
    h(
      "div",
      { class: "actions" },
      button("It is not in the helpdesk", () => ask(true), { id: "absent", disabled: busy }),
      button(left.has(doubt.row) ? "Left open" : "Leave it open", () => leave(doubt, doubts), { id: "leave" }),
    ),
  );
}

function ask(whether) {
  confirming = whether;
  again();
  document.getElementById(whether ? "absent-no" : "absent")?.focus();
}

function leave(doubt, doubts) {
  left.add(doubt.row);
  const place = doubts.findIndex((one) => one.row === doubt.row);
  current = doubts[(place + 1) % doubts.length].row;
  again();
}

window.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  if (event.key === "j") document.getElementById("next")?.click();
  if (event.key === "k") document.getElementById("previous")?.click();
});
