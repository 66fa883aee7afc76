// What is on the screen, from the state that the server tells: the top, the steps, one of them.

import { follow, post, Refused } from "/api.js";
import { h, button, num, duration, trouble, Parts, rows, sentence } from "/dom.js";
import * as file from "/file.js";
import * as columns from "/columns.js";
import * as check from "/check.js";
import * as trial from "/trial.js";
import * as push from "/push.js";
import * as doubts from "/doubts.js";

const STEPS = [
  ["file", "File", file],
  ["columns", "Columns", columns],
  ["check", "Check", check],
  ["trial", "Trial", trial],
  ["push", "Push", push],
  ["doubts", "Doubts", doubts],
];

const top = new Parts(document.getElementById("top"));
const banner = new Parts(document.getElementById("banner"));
const steps = new Parts(document.getElementById("steps"));
const main = new Parts(document.getElementById("main"));
const said = document.getElementById("said");

const page = { state: null, step: null, failure: null, lost: null, of: null };

/** Do something on the server; what goes wrong is shown above the step. */
export async function act(path, body) {
  page.failure = null;
  try {
    return await post(path, body);
  } catch (error) {
    fail(error);
    return null;
  }
}

export function fail(error) {
  page.failure = { message: error.message, next_step: error instanceof Refused ? error.next_step : "" };
  show();
}

export function go(step) {
  if (page.step === step) return;
  page.step = step;
  page.failure = null;
  main.clear();
  show();
  document.querySelector("#main h1")?.focus();
  window.scrollTo(0, 0);
}

export const again = () => show();

function firstStep(one) {
  if (!one) return "file";
  if (one.push?.running) return "push";
  if (!one.status) return "columns";
  const left = one.status.sendable || one.status.unread;
  if (one.status.doubt && !left && !one.status.under_way) return "doubts";
  return "push";
}

function isOpen(name, one) {
  if (name === "file") return true;
  if (!one) return false;
  if (name === "doubts") return Boolean(one.status);
  if (name === "columns" || name === "check") return one.readable;
  if (name === "trial") return one.readable && (one.plan || one.status);
  return Boolean(one.plan || one.status);
}

function hint(name, one) {
  if (!one) return "";
  const plan = one.plan;
  const status = one.status;
  if (name === "file") return one.name;
  if (name === "columns") return Object.keys(one.mapping).length ? `${Object.keys(one.mapping).length} sent` : "";
  if (name === "check" && plan) {
    if (!plan.done) return `reading, ${num(plan.rows)}`;
    return plan.bad ? `${num(plan.bad)} to fix` : `${rows(plan.rows)}`;
  }
  if (name === "trial") return one.trial?.outcome === "accepted" ? "sent" : "";
  if (name === "push") {
    if (one.push?.running) return `${rateNow(one)} a second`;
    return status ? `${num(status.there)} there` : "";
  }
  if (name === "doubts") return status?.in_doubt || status?.open ? num(status.doubt) : "";
  return "";
}

const rateNow = (one) => num(Math.round(one.push.rate));

function isDone(name, one) {
  if (!one) return false;
  if (name === "file") return true;
  if (name === "columns") return Boolean(one.plan || one.status);
  if (name === "check") return Boolean(one.plan?.done && !one.plan.bad);
  if (name === "trial") return one.trial?.outcome === "accepted" || (one.status?.there || 0) > 0;
  if (name === "push") {
    return Boolean(one.status && one.status.rows && !one.status.sendable && !one.status.unread && !one.push?.running);
  }
  return Boolean(one.status && one.status.read_to_end && !one.status.doubt);
}

const ACTIVITY = { trial: "Sending a trial ticket", push: "Pushing", lookup: "Looking up" };

function activityWords(state) {
  const activity = state.activity;
  if (!activity) return "";
  if (activity.stopping) return "Stopping; requests in flight finish";
  return ACTIVITY[activity.kind];
}

function show() {
  const state = page.state;
  if (!state) {
    if (page.lost !== null) banner.show([["lost", page.lost, lostNote]]);
    return;
  }
  const one = state.file;
  const identity = one?.journal || null;
  if (page.step === null || page.of !== identity) {
    page.of = identity;
    page.step = firstStep(one);
    main.clear();
  }
  if (!isOpen(page.step, one)) page.step = "file";
  document.title = one ? `${one.name} · ${state.program}` : state.program;
  const words = page.lost === null ? activityWords(state) : "";
  document.getElementById("main").inert = page.lost !== null;
  top.show([
    [
      "top",
      [state.program, one?.name, state.target.address, words, page.step],
      () =>
        h(
          "div",
          { class: "bar" },
          h("span", { class: "brand" }, h("span", { class: "mark", "aria-hidden": "true" }), state.program),
          h("span", { class: "where" }, state.target.address ? [h("span", { class: "quiet" }, "to "), host(state.target.address)] : h("span", { class: "quiet" }, "no helpdesk set")),
          h("span", { class: "grow" }),
          words && h("span", { class: "busy" }, h("span", { class: "pulse", "aria-hidden": "true" }), words),
        ),
    ],
  ]);
  banner.show([
    page.lost !== null && ["lost", page.lost, lostNote],
    state.closing && ["closing", 1, () => h("div", { class: "note warn" }, "The program behind this page is ending.")],
  ]);
  steps.show([
    [
      "steps",
      STEPS.map(([name]) => [name === page.step, isOpen(name, one), isDone(name, one), hint(name, one)]),
      () => stepList(one),
    ],
  ]);
  const view = STEPS.find(([name]) => name === page.step)[2];
  main.show([
    ["head", view.title(state), () => h("h1", { tabindex: "-1" }, view.title(state))],
    page.failure && ["failure", page.failure, () => trouble(page.failure)],
    state.trouble && page.step !== "file" && ["trouble", state.trouble, () => trouble(state.trouble)],
    ...view.parts(state),
  ]);
  announce(words);
}

let announced = "";
function announce(words) {
  if (words === announced) return;
  said.textContent = words || (announced ? "Finished." : "");
  announced = words;
}

function stepList(one) {
  return h(
    "ol",
    {},
    STEPS.map(([name, words], place) => {
      const here = name === page.step;
      const done = isDone(name, one);
      const note = hint(name, one);
      const alert = (name === "doubts" && note) || (name === "check" && one?.plan?.bad);
      return h(
        "li",
        {},
        button(
          [
            h("span", { class: `dot${done ? " done" : ""}`, "aria-hidden": "true" }, done ? "✓" : place + 1),
            h("span", { class: "words" }, words, note && h("small", { class: alert ? "doubt" : "" }, note)),
          ],
          () => go(name),
          { id: `step-${name}`, "aria-current": here ? "step" : null, disabled: !isOpen(name, one) },
        ),
      );
    }),
  );
}

function lostNote() {
  const old = page.lost === 401;
  return h(
    "div",
    { class: "note bad" },
    h("p", { class: "strong" }, old ? "This address is not of the run that is going on." : "The program behind this page has ended, or cannot be reached."),
    h(
      "p",
      {},
      old
        ? "Open the address that the program printed when it started."
        : "Nothing is lost: the journal has every row that was sent. Start it again, with the same file, and open the address that it prints.",
    ),
  );
}

const host = (address) => address.replace(/^https?:\/\//, "").replace(/\/$/, "");

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
for (const name of ["dragover", "drop"]) {
  // A file that misses its place must not replace the page.
  window.addEventListener(name, (event) => event.preventDefault());
}
setInterval(() => page.state?.activity?.until && show(), 1000);

follow(
  (state) => {
    page.state = state;
    page.lost = null;
    show();
  },
  (status) => {
    page.lost = status;
    show();
  },
);

export { duration, sentence };
