// The timeline: one line for each thing that a person would tell somebody else.

import { linkOf, lostOf, phaseOf, span } from './words.js';

/** More than anybody reads; a start has about ten. */
const KEPT = 200;

export class Story {
  #lines = [];
  #listeners = new Set();
  #now;
  #begun = 0;
  #phase;
  #linked;
  #retrying = false;
  /** The last trouble that was told: one cause may reach the page by several ways. */
  #trouble;

  /** `now` is a clock in milliseconds, `performance.now` in a page. */
  constructor(now) {
    this.#now = now;
  }

  get lines() {
    return this.#lines;
  }

  subscribe(listener) {
    this.#listeners.add(listener);
  }

  /** Takes what the player tells. */
  player(what, { role, progress, change, error, held }) {
    switch (what) {
      case 'wished':
        this.#begun = this.#now();
        this.#phase = undefined;
        this.#trouble = undefined;
        return this.#add(role === 'publish' ? 'You asked to go live' : 'You asked to watch');
      case 'camera':
        return this.#add('Your camera is on');
      case 'progress':
        return this.#progressed(progress);
      case 'granted':
        return this.#add(`The server answers, after ${span(this.#now() - this.#begun)}`, 'good');
      case 'live':
        return this.#add('You are live', 'good');
      case 'picture':
        return this.#add('The picture is here', 'good');
      case 'nobody':
        return this.#add('Waiting for the picture');
      case 'broke':
        return this.#add('The video broke, and is opened again');
      case 'finished':
        return this.#add('The stream has ended');
      case 'lease':
        return this.#changed(change);
      case 'stopped':
        // After an error there was nothing left to stop.
        return (
          role !== undefined &&
          this.#add(held ? 'You stopped, and gave the server back' : 'You stopped waiting')
        );
      case 'failed':
        // A lost lease has told why.
        return error.reason === undefined && this.#failed('It failed', error, 'bad');
    }
  }

  /** Takes the client's connection state. */
  link({ kind, reason, error }) {
    if (kind === 'connected') {
      if (!this.#linked || this.#retrying)
        this.#add(this.#linked ? 'The connection is back' : 'Connected to the service');
      this.#linked = true;
      this.#trouble = undefined;
      this.#retrying = false;
    } else if (kind === 'reconnecting' && !this.#retrying) {
      this.#retrying = true;
      this.#add(
        `${linkOf({ kind, reason })}: ${this.#linked ? 'the connection broke' : 'no connection yet'}`,
      );
    } else if (kind === 'failed') {
      this.#failed('The connection failed', error, 'bad');
    }
  }

  /** Takes an error that belongs to no request. */
  diagnostic(error) {
    this.#failed('The service had trouble', error, 'plain');
  }

  #progressed({ phase, overdue, note }) {
    const said = `${phase} ${overdue} ${note ?? ''}`;
    if (said === this.#phase) return;
    this.#phase = said;
    if (overdue) this.#add(`${phaseOf(phase)}, longer than usual`);
    else if (note === 'restarting') this.#add('That server failed, another one is started');
    else if (phase !== 'requested' && phase !== 'ready') this.#add(phaseOf(phase));
  }

  #changed({ kind, reason, endsIn }) {
    switch (kind) {
      case 'draining':
        return this.#add(
          endsIn > 0
            ? `The server stops in ${span(endsIn)}, as nobody needs it`
            : 'The server is about to stop',
        );
      case 'held':
        return this.#add('The server stays after all');
      case 'moving':
        return this.#add('The server went away, another one is started');
      case 'moved':
        return this.#add('There is a new server; the video goes over', 'good');
      case 'lost':
        return this.#add(`The lease ended: ${lostOf(reason)}`);
    }
  }

  #failed(what, { code }, tone) {
    if (code === this.#trouble) return;
    this.#trouble = code;
    this.#add(`${what}: ${code}`, tone);
  }

  #add(text, tone = 'plain') {
    this.#lines = [...this.#lines, { at: new Date(), text, tone }].slice(-KEPT);
    for (const listener of this.#listeners) listener();
  }
}
