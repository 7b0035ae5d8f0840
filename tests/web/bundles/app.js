// An app as a bundler gets it: it connects, and tells how that went.

import { Client, isWakecastError } from "wakecast";

const { websocketUrl, token } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const clients = Array.from(
  { length: 3 },
  () => new Client(websocketUrl, { tokenProvider: () => token }),
);
for (const client of clients) client.connect();

/** The kinds of all clients' states once none is on its way, and the error if there is one. */
window.outcome = () => {
  const states = clients.map(({ state }) => state);
  if (states.some(({ kind }) => kind === "idle" || kind === "connecting")) return undefined;
  const { error } = states.find(({ error }) => error) ?? {};
  return {
    kinds: states.map(({ kind }) => kind),
    error: isWakecastError(error) ? error.toJSON() : undefined,
  };
};
