// Puts what is described onto the page, and nothing else.

import { statement } from './statement.js';
import { STEPS, phaseOf, stepOf } from './words.js';

/** Buttons that lead away from what is wanted, and so never stand out. */
const LEAVING = ['stop', 'back'];

const find = (id) => document.getElementById(id);

export class View {
  #stage = find('stage');
  #screen = find('screen');
  #sound = find('sound');
  #buttons = [...document.querySelectorAll('[data-action]')];
  #steps;
  #camera;
  #explained;

  /** `act` hears the name of the button that was pressed. */
  constructor(act) {
    for (const button of this.#buttons) {
      button.addEventListener('click', () => act(button.dataset.action));
    }
    this.#sound.addEventListener('click', () => this.#setSound(this.#screen.muted));
    this.#steps = STEPS.map(({ name }) => {
      const step = document.createElement('li');
      step.textContent = name;
      return step;
    });
    find('steps').replaceChildren(...this.#steps);
  }

  /** Where a played stream is shown. */
  get screen() {
    return this.#screen;
  }

  show(shown, { role, camera, stage }, link) {
    document.body.dataset.tone = shown.tone ?? 'calm';
    this.#stage.dataset.scene = shown.scene;
    this.#stage.dataset.mirror = String(camera !== undefined);
    setText(find('title'), shown.title);
    setText(find('detail'), shown.detail);
    setHidden(find('code'), shown.code === undefined);
    setText(find('code'), shown.code === undefined ? '' : `Code: ${shown.code}`);
    this.#showVideo(shown.scene === 'video', camera, role === 'watch' && stage === 'on');
    this.#showBadge(shown.badge);
    this.#showProgress(shown.progress);
    this.#showNotice(shown.notice);
    this.#showActions([...(shown.notice?.actions ?? []), ...shown.actions]);
    setText(find('announcer'), shown.calm);
    setText(find('notice-announcer'), shown.notice?.calm ?? '');
    this.showLink(link);
  }

  showLink({ kind, text }) {
    find('link').dataset.kind = kind;
    setText(find('link-text'), text);
  }

  showLines(lines) {
    const list = find('timeline');
    const scroll = find('scroll');
    const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 8;
    list.replaceChildren(...lines.map(line));
    setHidden(find('empty'), lines.length > 0);
    if (atEnd) scroll.scrollTop = scroll.scrollHeight;
  }

  showStatements(statements) {
    const text = statements.join('\n\n');
    if (text === this.#explained) return;
    this.#explained = text;
    find('statements').replaceChildren(...statements.map(statement));
  }

  /** Tells how something ended that leaves the state as it is. */
  say(text) {
    setText(find('said'), text);
  }

  onExplain(listener) {
    const panel = find('explain');
    panel.addEventListener('toggle', () => listener(panel.open));
  }

  #showVideo(visible, camera, withSound) {
    const screen = this.#screen;
    // Covered rather than hidden: a video that is not laid out may not tell of its frames.
    screen.classList.toggle('covered', !visible);
    if (camera !== this.#camera) {
      this.#camera = camera;
      screen.srcObject = camera ?? null;
    }
    if (!withSound && !this.#sound.hidden) this.#setSound(false);
    setHidden(this.#sound, !withSound);
  }

  #setSound(on) {
    this.#screen.muted = !on;
    this.#sound.setAttribute('aria-pressed', String(on));
  }

  #showBadge(badge) {
    const element = find('badge');
    setHidden(element, !badge);
    if (!badge) return;
    element.dataset.kind = badge.kind;
    setText(element, badge.text);
  }

  #showProgress(progress) {
    setHidden(find('progress'), !progress);
    const fraction = progress?.fraction ?? 0;
    this.#stage.style.setProperty('--risen', fraction);
    if (!progress) return;
    const bar = find('bar');
    bar.dataset.overdue = String(progress.overdue === true);
    bar.setAttribute('aria-valuenow', String(Math.round(fraction * 100)));
    bar.setAttribute('aria-valuetext', `${phaseOf(progress.phase)}, ${Math.round(fraction * 100)} percent`);
    find('fill').style.setProperty('--fraction', fraction);
    const now = stepOf(progress.phase);
    this.#steps.forEach((step, index) => {
      step.dataset.state = index < now ? 'done' : index === now ? 'now' : 'next';
      if (index === now) step.setAttribute('aria-current', 'step');
      else step.removeAttribute('aria-current');
    });
  }

  #showNotice(notice) {
    setHidden(find('notice'), !notice);
    setText(find('notice'), notice?.text ?? '');
  }

  /** Shows some buttons. Whoever had pressed one that is gone stands on the first that is there. */
  #showActions(actions) {
    const had = document.activeElement;
    for (const button of this.#buttons) {
      const { action } = button.dataset;
      setHidden(button, !actions.includes(action));
      button.classList.toggle('primary', action === actions[0] && !LEAVING.includes(action));
    }
    if (had?.dataset?.action && had.hidden) {
      this.#buttons.find((button) => !button.hidden)?.focus();
    }
  }
}

function line({ at, text, tone }) {
  const item = document.createElement('li');
  item.dataset.tone = tone;
  const time = document.createElement('time');
  time.dateTime = at.toISOString();
  time.textContent = at.toTimeString().slice(0, 8);
  const what = document.createElement('span');
  what.textContent = text;
  item.append(time, what);
  return item;
}

/** Touches the page only where something changes, or a screen reader would hear it again. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setHidden(element, hidden) {
  if (element.hidden !== hidden) element.hidden = hidden;
}
