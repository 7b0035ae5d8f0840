// A gateway that says what the test wants, when it wants it: it takes the place of the real one in a
// page's own sockets, so that no state has to be waited for.

import { EventEmitter, once } from "node:events";

// Longer than anything takes on two busy cores.
const PATIENCE_MS = 20_000;

export class ScriptedGateway {
  #sockets = new Set();
  #heard = new EventEmitter();
  #rev = Date.now();
  #endpoint;
  #wish;

  /** Whether `hello` is answered. */
  welcomes = true;

  /** Answers in place of whatever listens at `websocketUrl`. */
  async attach(page, websocketUrl) {
    await page.routeWebSocket(
      (url) => url.href.startsWith(websocketUrl),
      (socket) => {
        this.#sockets.add(socket);
        socket.onClose(() => this.#sockets.delete(socket));
        socket.onMessage((text) => this.#take(socket, JSON.parse(text)));
      },
    );
  }

  /** Waits for the next `acquire`, whose id all that follows is about. */
  async wished() {
    if (!this.#wish) await once(this.#heard, "acquire", { signal: AbortSignal.timeout(PATIENCE_MS) });
    const wish = this.#wish;
    this.#wish = undefined;
    return wish;
  }

  progress(wish, phase, { elapsed = 1_000, p50 = 8_000, p90 = 12_000, overdue = false, ...rest } = {}) {
    this.#push({
      type: "progress",
      id: wish.id,
      rev: this.#rev,
      phase,
      elapsed_ms: elapsed,
      eta_p50_ms: p50,
      eta_p90_ms: p90,
      overdue,
      ...rest,
    });
  }

  /** `endpoint` makes a fresh one each time, for a purpose. */
  ready(wish, endpoint) {
    this.#endpoint = () => endpoint(wish.purpose);
    this.#push({
      type: "ready",
      id: wish.id,
      rev: ++this.#rev,
      endpoint: this.#endpoint(),
      verify_spread_ms: 0,
    });
  }

  fails(wish, code, rest = {}) {
    const message = `the script says ${code}`;
    this.#push({ type: "error", id: wish.id, code, message, retryable: false, outcome: "rejected", ...rest });
  }

  draining(wish, milliseconds) {
    this.#push({ type: "draining", lease: wish.id, rev: ++this.#rev, deadline_ms: milliseconds });
  }

  moving(wish) {
    this.#rev += 1;
    this.progress(wish, "launching", { note: "moving" });
  }

  moved(wish, endpoint) {
    this.#endpoint = () => endpoint(wish.purpose);
    this.#push({ type: "moved", lease: wish.id, rev: ++this.#rev, endpoint: this.#endpoint() });
  }

  lost(wish, reason) {
    this.#push({ type: "lost", lease: wish.id, rev: ++this.#rev, reason });
  }

  /** Ends every link for good. */
  bye(code) {
    this.#push({ type: "bye", code, reconnect: false });
  }

  /** Cuts every link without a word, and answers no `hello` from then on. */
  async cut() {
    this.welcomes = false;
    await Promise.all([...this.#sockets].map((socket) => socket.close({ code: 1001 })));
  }

  #take(socket, message) {
    const { id, action } = message;
    const answer = this.#answer(message);
    if (action === "acquire") {
      this.#wish = { id, purpose: message.purpose };
      this.#heard.emit("acquire");
    }
    if (answer) socket.send(JSON.stringify({ id, ...answer }));
  }

  #answer({ action, leases, requests, lease, purpose }) {
    switch (action) {
      case "ping":
        return { type: "pong" };
      case "hello":
        if (!this.welcomes) return undefined;
        return {
          type: "welcome",
          session: "scripted",
          token_expires_in_ms: 3_600_000,
          heartbeat_ms: 270_000,
          max_age_ms: 7_200_000,
          reconnect_spread_ms: 1,
          leases: leases.map(({ id }) => ({ id, state: "held", rev: this.#rev, endpoint: this.#endpoint() })),
          requests: requests.map(({ id }) => ({ id, state: "unknown" })),
        };
      case "endpoint":
        return { type: "endpoint", lease, rev: this.#rev, endpoint: this.#endpoint(purpose) };
      case "renew":
        return { type: "renewed", expires_in_ms: 3_600_000, reconnect_spread_ms: 1 };
      default:
        return { type: "ack" };
    }
  }

  #push(message) {
    for (const socket of this.#sockets) socket.send(JSON.stringify(message));
  }
}
