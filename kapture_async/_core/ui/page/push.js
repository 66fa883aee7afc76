// Step 5: the push, with a live picture; stop and resume.

import { act, go } from "/app.js";
import { bar } from "/file.js";
import { h, svg, button, clock, duration, num, rate, rows, sentence, trouble } from "/dom.js";

export const title = (state) => (state.file?.push?.running ? "Pushing" : state.file?.status ? "Push" : "Push all rows");

/** Rows by where they are: what the journal said before, with what this push has added. */
function standing(one) {
  const live = one.push?.running ? one.push : null;
  const status = one.status;
  const total = one.rows === null ? null : Math.max(one.rows, status?.rows || 0);
  if (!live) {
    return {
      there: status?.there || 0,
      absent: status?.absent || 0,
      rejected: status?.rejected || 0,
      not_sent: status?.not_sent || 0,
      doubt: status?.doubt || 0,
      total,
    };
  }
  // What earlier runs left unsent is sent now, and counted anew; the rest stays as it was.
  const before = status || { there: 0, doubt: 0, rejected: 0, later: 0, refused: 0 };
  const rejected = before.rejected - before.later + live.rejected;
  const unsent = before.refused + live.not_sent;
  return {
    there: before.there + live.accepted,
    rejected,
    not_sent: unsent,
    absent: rejected + unsent,
    doubt: before.doubt + live.unknown,
    total,
  };
}

export function parts(state) {
  const one = state.file;
  const live = one.push;
  const running = Boolean(live?.running);
  const busy = Boolean(state.activity);
  const at = standing(one);
  return [
    ["picture", at, () => picture(at)],
    ["actions", [busy, running, state.activity?.stopping, one.status?.sendable, one.status?.unread, one.status?.doubt, one.status?.running, one.plan?.to_send, one.plan?.done, state.target.trouble, one.readable], () => actions(state)],
    state.target.trouble && ["target", state.target.trouble, () => trouble(state.target.trouble)],
    one.status?.running && !busy && ["other", one.status.running, () => h("div", { class: "note warn" }, "Another program is using this journal. Wait until it has finished, and open the file again.")],
    !one.readable && ["gone", 1, () => h("div", { class: "note warn" }, "The file is not there any more: only the rows that the journal holds can be pushed.")],
    live && ["speed", [live.seconds, live.rate, live.limit, running, at], () => speed(live, at, running, one.max_rate)],
    live && live.points.length > 1 && ["chart", live.points, () => chart(live.points)],
    live && live.notices.length > 0 && ["notices", live.notices, () => notices(live.notices)],
    !running && one.status && ["after", one.status, () => after(one)],
  ];
}

function picture(at) {
  const done = at.there + at.absent + at.doubt;
  const total = at.total ?? done;
  const share = total ? done / total : 0;
  const list = [
    ["there", at.there, "in the helpdesk", ""],
    ["absent", at.absent, "not in the helpdesk", [at.rejected && `${num(at.rejected)} rejected`, at.not_sent && `${num(at.not_sent)} not sent`].filter(Boolean).join(", ")],
    ["doubt", at.doubt, "in doubt", at.doubt ? "may or may not be there" : ""],
  ];
  return h(
    "section",
    { "aria-label": "Where the rows are" },
    h(
      "div",
      { class: "progress", role: "progressbar", "aria-label": "Rows with an outcome", "aria-valuemin": 0, "aria-valuemax": total, "aria-valuenow": Math.min(done, total) },
      bar(at, Math.max(total, done)),
    ),
    h("p", { class: "row quiet" }, h("span", {}, h("strong", { class: "number" }, num(done)), at.total === null ? " rows with an outcome so far" : ` of ${rows(total)} with an outcome`), h("span", { class: "number" }, at.total ? `${Math.floor(100 * share)} %` : "")),
    h(
      "dl",
      { class: "tiles three" },
      list.map(([kind, value, words, more]) => h("div", { class: `tile ${value ? kind : ""}`, id: `tile-${kind}` }, h("dt", {}, h("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), words), h("dd", { class: "figure" }, num(value)), h("dd", { class: "quiet small" }, more || "\u00a0"))),
    ),
  );
}

function actions(state) {
  const one = state.file;
  const activity = state.activity;
  if (activity?.kind === "push") {
    return h(
      "div",
      { class: "actions" },
      button(activity.stopping ? "Stopping…" : "Stop", () => act("stop"), { id: "stop", disabled: activity.stopping }),
      h("span", { class: "quiet" }, activity.stopping ? "Requests in flight finish, so that none is in doubt." : "You can close this page: the push continues."),
    );
  }
  const status = one.status;
  const fresh = !status || !status.rows;
  const left = fresh ? one.plan?.to_send : Math.max(status.sendable, one.plan?.done ? one.plan.to_send : 0);
  const more = fresh || left || status.unread;
  const words = fresh ? "Push" : "Resume";
  return h(
    "div",
    { class: "actions" },
    more
      ? button(left ? `${words}: ${rows(left)}` : words, () => act("push"), { id: "push", class: "main", disabled: Boolean(activity || state.target.trouble || status?.running || (fresh && !one.plan?.to_send)) })
      : h("p", { class: "strong there" }, "Every row that can be sent has been sent."),
    status?.doubt > 0 && !status.running && button(`Work through ${rows(status.doubt)} in doubt`, () => go("doubts"), { id: "to-doubts", class: more ? "" : "main", disabled: Boolean(activity) }),
  );
}

const MODES = { ramping: "finding the limit", steady: "at full speed", "holding back": "just below a limit of the helpdesk", paused: "paused", probing: "trying whether the helpdesk works again" };

function speed(live, at, running, asked) {
  const limit = live.limit;
  const left = at.total - at.there - at.absent - at.doubt;
  const list = [
    [running ? "now" : "on average", `${rate(live.rate)}`, "rows a second"],
    running && at.total !== null && live.rate > 0.5 && left > 0 ? ["left", duration(left / live.rate), ""] : ["took", duration(live.seconds), ""],
    limit && ["limit found", num(limit.concurrency), "requests at once"],
    limit && limit.rate !== null && ["", rate(limit.rate), asked && limit.rate >= 0.99 * asked ? "a second, as you asked" : "a second"],
  ].filter(Boolean);
  return h(
    "section",
    { class: "speed", "aria-label": "Speed" },
    list.map(([before, value, after]) => h("span", {}, before && h("span", { class: "quiet" }, `${before} `), h("strong", { class: "number" }, value), after && h("span", { class: "quiet" }, ` ${after}`))),
    limit && running && h("span", { class: "quiet" }, MODES[limit.mode] || limit.mode),
  );
}

/** Outcomes over time as areas, one upon the other, with the rate as a line. */
function chart(points) {
  const [width, height] = [720, 180];
  const end = points[points.length - 1][0] || 1;
  const most = Math.max(...points.map((p) => p[1] + p[2] + p[3] + p[4]), 1);
  const x = (t) => (width * t) / end;
  const y = (value) => height - (height - 8) * (value / most);
  const layers = [
    ["there", (p) => p[1]],
    ["absent", (p) => p[1] + p[2] + p[3]],
    ["doubt", (p) => p[1] + p[2] + p[3] + p[4]],
  ];
  const areas = [];
  let floor = () => 0;
  for (const [kind, top] of layers) {
    const up = points.map((p) => `${x(p[0]).toFixed(1)},${y(top(p)).toFixed(1)}`);
    const lower = floor;
    const down = points.map((p) => `${x(p[0]).toFixed(1)},${y(lower(p)).toFixed(1)}`).reverse();
    areas.push(svg("polygon", { class: `area ${kind}`, points: [...up, ...down].join(" ") }));
    floor = top;
  }
  const rates = points.slice(1).map((p, n) => {
    const before = points[Math.max(0, n - 3)];
    const seconds = p[0] - before[0];
    const sum = (q) => q[1] + q[2] + q[3] + q[4];
    return [p[0], seconds > 0 ? (sum(p) - sum(before)) / seconds : 0];
  });
  const fastest = Math.max(...rates.map(([, value]) => value), 1);
  const line = rates.map(([t, value]) => `${x(t).toFixed(1)},${(height - (height - 8) * 0.92 * (value / fastest)).toFixed(1)}`).join(" ");
  const ticks = end < 8 ? [0, 1] : [0, 0.25, 0.5, 0.75, 1];
  return h(
    "figure",
    { class: "chart" },
    h(
      "figcaption",
      { class: "row quiet small" },
      h("span", {}, "Outcomes of this push"),
      h("span", {}, h("span", { class: "swatch line", "aria-hidden": "true" }), `rate, up to ${rate(fastest)} a second`),
    ),
    svg(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${num(most)} rows with an outcome in ${duration(end)}`, preserveAspectRatio: "none" },
      [0.25, 0.5, 0.75, 1].map((share) => svg("line", { class: "grid", x1: 0, x2: width, y1: y(most * share), y2: y(most * share) })),
      areas,
      svg("polyline", { class: "rate", points: line }),
      svg("line", { class: "axis", x1: 0, x2: width, y1: height, y2: height }),
    ),
    h("p", { class: "row quiet small", "aria-hidden": "true" }, ticks.map((share) => h("span", {}, duration(end * share)))),
  );
}

function notices(list) {
  return h(
    "details",
    {},
    h("summary", {}, `What happened on the way (${list.length})`),
    h("ul", { class: "log" }, [...list].reverse().map((notice) => h("li", {}, h("time", { class: "quiet number" }, clock(notice.at)), " ", sentence(notice.words)))),
  );
}

const STATES = { rejected: "rejected", not_sent: "not sent", unknown: "in doubt", ambiguous: "in doubt", probable: "in doubt" };
const KINDS = { rejected: "absent", not_sent: "absent", unknown: "doubt", ambiguous: "doubt", probable: "doubt" };

function after(one) {
  const status = one.status;
  if (!status.reasons.length && !status.to_fix && !status.contradictions) return h("div", {});
  return h(
    "section",
    {},
    status.contradictions > 0 && h("div", { class: "note bad" }, h("p", { class: "strong" }, `The helpdesk disagrees with ${rows(status.contradictions)} of the journal.`), h("p", {}, "The command `status` lists them.")),
    status.reasons.length > 0 && [
      h("h2", {}, "Why rows are not there"),
      reasonList(status.reasons.slice(0, 6)),
      status.reasons.length > 6 && h("details", {}, h("summary", {}, status.reasons.length === 7 ? "One more reason" : `${num(status.reasons.length - 6)} more reasons`), reasonList(status.reasons.slice(6))),
    ],
    status.to_fix > 0 && rejectsPart(status),
  );
}

const reasonList = (reasons) =>
  h(
    "ul",
    { class: "remarks" },
    reasons.map((reason) => h("li", {}, h("span", { class: "count" }, num(reason.rows)), h("span", {}, sentence(reason.words)), h("span", { class: `small ${KINDS[reason.state] || ""}` }, STATES[reason.state] || reason.state))),
  );

function rejectsPart(status) {
  const place = h("p", { class: "quiet" });
  return h(
    "div",
    { class: "actions" },
    button(
      `Write ${rows(status.to_fix)} to fix to a file`,
      async () => {
        const found = await act("rejects");
        if (found) place.replaceChildren("Written to ", h("code", {}, found.result), ". Correct them there, and push that file with --key _key and this journal.");
      },
      { id: "rejects" },
    ),
    place,
  );
}
