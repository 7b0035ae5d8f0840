// What the person wants, carried through: wish, wait, use, and again where that is the calm thing to
// do. Knows the client and the media, not the page.

import { Playing, Publishing, closeCamera, openCamera } from './media.js';
import { problem } from './problem.js';

/** Between two tries to open the video: a person waits no longer, a server is not hurried. */
const TRY_AGAIN_MS = 1000;
/** A stream of our own that broke is freed by the server within this time. */
const FREED_WITHIN_MS = 30_000;

const IDLE = Object.freeze({
  /** `publish` or `watch`, while something is wanted. */
  role: undefined,
  /** `camera`, `waiting`, `opening`, `nobody` or `on`. */
  stage: undefined,
  progress: undefined,
  /** What nine starts in ten take in all, as it was last told in time. */
  usual: undefined,
  /** `draining` or `moving` with the moment it ends; otherwise undefined. */
  change: undefined,
  /** When the stream went live here, or the picture came. */
  since: undefined,
  camera: undefined,
  error: undefined,
});

export class Player {
  #client;
  #where;
  #video;
  #wish;
  #state = IDLE;
  #listeners = new Set();

  /** `where` names the app and the stream, `video` shows what is played. */
  constructor(client, where, video) {
    this.#client = client;
    this.#where = where;
    this.#video = video;
  }

  get state() {
    return this.#state;
  }

  /** `listener` gets what happened in a word, and what belongs to it. */
  subscribe(listener) {
    this.#listeners.add(listener);
  }

  goLive() {
    void this.#begin('publish');
  }

  watch() {
    void this.#begin('watch');
  }

  /** Does the last thing again after an error, with a new sign-in where that had failed. */
  again() {
    if (this.#client.state.kind === 'failed') this.#client.retry();
    void this.#begin(this.#wish?.role ?? 'watch');
  }

  /** Signs in again without touching what runs. */
  signIn() {
    if (this.#state.role) this.#client.retry();
    else this.again();
  }

  stop() {
    const { role, stage } = this.#state;
    this.#wish?.abort.abort();
    this.#become(IDLE, 'stopped', { role, held: ['opening', 'nobody', 'on'].includes(stage) });
  }

  async #begin(role) {
    this.#wish?.abort.abort();
    const wish = { role, abort: new AbortController(), camera: undefined, wasOn: undefined };
    this.#wish = wish;
    this.#become({ ...IDLE, role }, 'wished', { role });
    try {
      if (role === 'publish') await this.#takeCamera(wish);
      // Who watches goes on watching when a server has gone; who was live is told.
      while (!wish.abort.signal.aborted) await this.#use(wish, await this.#acquire(wish));
    } catch (error) {
      if (!wish.abort.signal.aborted) this.#become({ ...IDLE, error }, 'failed', { error });
    } finally {
      wish.abort.abort();
      closeCamera(wish.camera);
    }
  }

  async #takeCamera(wish) {
    this.#change(wish, { stage: 'camera' });
    wish.camera = await openCamera();
    this.#change(wish, { camera: wish.camera }, 'camera');
  }

  async #acquire(wish) {
    this.#change(wish, { stage: 'waiting', progress: undefined, change: undefined });
    const acquisition = this.#client.acquire({
      ...this.#where,
      purpose: wish.role,
      signal: wish.abort.signal,
      onProgress: (progress) => this.#progressed(wish, progress),
    });
    const lease = await acquisition;
    this.#change(wish, { stage: 'opening', progress: undefined }, 'granted');
    return lease;
  }

  #progressed(wish, progress) {
    const { elapsed, etaP90, overdue } = progress;
    const told = !overdue && etaP90 !== undefined ? { usual: elapsed + etaP90 } : {};
    this.#change(wish, { progress, ...told }, 'progress', { progress });
  }

  /** Uses a lease until it is lost or no longer wanted, over however many servers and sockets. */
  async #use(wish, lease) {
    const over = new AbortController();
    const lost = this.#follow(wish, lease, over);
    try {
      await this.#keepOpen(wish, lease, over.signal);
      const reason = await lost;
      const goesOn = wish.role === 'watch' && ['stopped', 'instance_gone'].includes(reason);
      if (reason !== undefined && !goesOn) {
        throw problem('lease_lost', { reason });
      }
    } finally {
      over.abort();
      if (lease.status !== 'lost') lease.release().catch(() => {});
    }
  }

  /** Listens to the lease. Returns why it was lost, or nothing if it is no longer wanted. */
  async #follow(wish, lease, over) {
    const changes = lease.changes();
    const leave = () => void changes.return();
    wish.abort.signal.addEventListener('abort', leave, { once: true });
    over.signal.addEventListener('abort', leave, { once: true });
    let reason;
    for await (const change of changes) {
      if (change.kind === 'lost') reason = change.reason;
      if (change.kind === 'moved') wish.moved?.();
      const endsAt = change.endsIn === undefined ? undefined : performance.now() + change.endsIn;
      const shown = ['draining', 'moving'].includes(change.kind) ? { kind: change.kind, endsAt } : undefined;
      this.#change(wish, { change: shown }, 'lease', { change });
    }
    over.abort();
    return reason;
  }

  async #keepOpen(wish, lease, over) {
    while (!over.aborted) {
      try {
        const endpoint = await lease.endpoint();
        if (over.aborted) return;
        const why = await this.#open(wish, lease, endpoint, over);
        if (why === 'in_use' && !(performance.now() - wish.wasOn < FREED_WITHIN_MS)) {
          throw problem('stream_in_use');
        }
        if (why !== 'moved') {
          if (!over.aborted && this.#state.stage === 'on') this.#change(wish, { stage: 'opening' }, 'broke');
          await pause(over);
        }
      } catch (error) {
        // A lease that is lost meanwhile says so itself, and why.
        if (!error.retryable || error.code === 'stream_in_use') throw error;
        await pause(over);
      }
      this.#change(wish, { stage: 'opening' });
    }
  }

  /** Opens the video and returns why it ended. */
  async #open(wish, lease, endpoint, over) {
    const common = {
      endpoint,
      streamId: this.#where.streamId,
      tell: (news) => this.#media(wish, news),
    };
    const session =
      wish.role === 'publish'
        ? new Publishing({ ...common, camera: wish.camera })
        : new Playing({
            ...common,
            video: this.#video,
            freshToken: async () => (await lease.endpoint()).streamToken,
          });
    const moved = new Promise((resolve) => (wish.moved = () => resolve('moved')));
    const aborted = new Promise((resolve) => over.addEventListener('abort', resolve, { once: true }));
    const why = await Promise.race([session.ended, moved, aborted]);
    session.close();
    if (this.#state.stage === 'on') wish.wasOn = performance.now();
    return why;
  }

  #media(wish, news) {
    if (news === 'live' || news === 'picture') {
      this.#change(wish, { stage: 'on', since: performance.now() }, news);
    } else if (this.#state.stage !== 'nobody') {
      this.#change(wish, { stage: 'nobody' }, news);
    }
  }

  /** Changes the state unless another wish has taken its place. */
  #change(wish, change, what, detail) {
    if (wish !== this.#wish || wish.abort.signal.aborted) return;
    this.#become({ ...this.#state, ...change }, what, detail);
  }

  #become(state, what, detail = {}) {
    this.#state = Object.freeze(state);
    for (const listener of this.#listeners) listener(what, detail);
  }
}

/** Waits a moment, or until it is no longer wanted. */
const pause = (over) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, TRY_AGAIN_MS);
    over.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
