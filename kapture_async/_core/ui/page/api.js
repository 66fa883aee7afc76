// The server: the token of this run is in the fragment of the address, and goes into a header of
// every request. It leaves the address bar at once, so that no history keeps it.

const KEPT = "token";

function tokenOfThisRun() {
  const given = location.hash.slice(1);
  if (given && given !== "main") {
    sessionStorage.setItem(KEPT, given);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem(KEPT) || "";
}

const token = tokenOfThisRun();
const headers = () => ({ Authorization: `Bearer ${token}` });

export class Refused extends Error {
  constructor(status, said) {
    super(said.message || `the request failed (HTTP ${status})`);
    this.status = status;
    this.next_step = said.next_step || "";
  }
}

async function answer(response) {
  if (response.status === 204) return {};
  let said = {};
  try {
    said = await response.json();
  } catch {
    // An answer without words has its status.
  }
  if (!response.ok) throw new Refused(response.status, said);
  return said;
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...headers(), ...options.headers } });
  } catch {
    throw new Refused(0, { message: "the program behind this page cannot be reached" });
  }
  return answer(response);
}

export const get = (path) => ask(`/api/${path}`);
export const post = (path, body = {}) =>
  ask(`/api/${path}`, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json" },
  });
export const upload = (file) =>
  ask(`/api/file?name=${encodeURIComponent(file.name)}`, {
    method: "PUT",
    body: file,
    headers: { "Content-Type": "application/octet-stream" },
  });

/** Follow what is shown, for ever: calls `onState` with each state, `onLost` when there is none. */
export async function follow(onState, onLost) {
  for (let wait = 250; ; wait = Math.min(wait * 2, 4000)) {
    try {
      const response = await fetch("/api/events", { headers: headers(), cache: "no-store" });
      if (!response.ok) {
        onLost(response.status);
        if (response.status === 401) return;
      } else {
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        let left = "";
        for (;;) {
          const { value, done } = await reader.read();
          if (done) break;
          const lines = (left + value).split("\n");
          left = lines.pop();
          const last = lines.filter(Boolean).pop();
          if (last) {
            onState(JSON.parse(last));
            wait = 250;
          }
        }
        onLost(0);
      }
    } catch {
      onLost(0);
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}
