// Step 4: one ticket, shown in full, sent, and opened.

import { act, go } from "/app.js";
import { h, button, facts, rows, ticketLink, trouble } from "/dom.js";

export const title = () => "Try one ticket";

const RESULT = {
  accepted: ["there", "The helpdesk has it"],
  rejected: ["absent", "The helpdesk refused it; nothing was created"],
  not_sent: ["absent", "It was not sent"],
  unknown: ["doubt", "Its answer was lost: it may or may not be in the helpdesk"],
};

export function parts(state) {
  const one = state.file;
  const busy = Boolean(state.activity);
  const sample = one.plan?.sample;
  const result = one.trial;
  return [
    ["words", 1, () => h("p", { class: "lede" }, "Send the first row that can be sent, and look at it in the helpdesk before the rest follows. It counts as that row: it is not sent again.")],
    result && ["result", result, () => shownResult(result)],
    !result && sample && ["sample", sample, () => h("section", { class: "panel" }, h("h2", {}, `Line ${sample.line}`, sample.key && h("small", {}, ` key ${sample.key}`)), facts(sample.cells))],
    state.target.trouble && ["target", state.target.trouble, () => trouble(state.target.trouble)],
    [
      "actions",
      [busy, state.activity?.kind, result?.outcome, state.target.trouble, one.plan?.to_send],
      () =>
        h(
          "div",
          { class: "actions" },
          result?.outcome === "accepted" && button("It looks right: go on to the push", () => go("push"), { id: "to-push", class: "main", disabled: busy }),
          button(state.activity?.kind === "trial" ? "Sending…" : result ? "Send another one" : "Send one ticket", () => act("trial"), {
            id: "send-one",
            class: result?.outcome === "accepted" ? "" : "main",
            disabled: busy || Boolean(state.target.trouble) || (one.plan?.done && !one.plan.to_send),
          }),
          result && result.outcome !== "accepted" && button("Back to the columns", () => go("columns"), { id: "back-to-columns" }),
          !result && button("Skip", () => go("push"), { id: "skip-trial" }),
        ),
    ],
  ];
}

function shownResult(result) {
  if (!result.outcome) {
    return h("div", { class: "note" }, `No row is left that can be sent: ${rows(result.known)} in the journal, ${rows(result.bad)} that cannot be sent.`);
  }
  const [kind, words] = RESULT[result.outcome];
  const { url, "ticket id": id, ...more } = result.answer;
  return h(
    "section",
    { class: `panel result ${kind}`, id: "trial-result" },
    h("h2", { class: kind }, words),
    id && h("p", { class: "lead" }, "Ticket ", h("strong", { class: "number" }, id), url && [" ", ticketLink(url, "Open it", { class: "button" })]),
    Object.keys(more).length > 0 && facts(more),
    result.trouble && trouble(result.trouble),
    h("h3", {}, "As it was sent"),
    facts(result.sent),
  );
}
