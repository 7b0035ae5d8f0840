// What the page says and offers in each state: a pure function of it.

import { errorOf, linkOf, phaseOf, span, wait } from './words.js';

const PREVIEW = Object.freeze({ kind: 'preview', text: 'Preview' });

/**
 * `state` is the player's, `link` the client's, `now` is on the same clock as both. `calm`, here and
 * of the notice, is for screen readers: it holds no number that ticks.
 */
export function describe(state, link, now) {
  const shown = scene(state, link, now);
  const calm = [shown.title, shown.calm ?? shown.detail].filter(Boolean).join('. ');
  return { ...shown, calm, notice: notice(state, link, now) };
}

function scene(state, link, now) {
  const { role, stage, progress, error } = state;
  if (error) return failed(error);
  if (role === undefined) {
    return link.kind === 'failed'
      ? failed(link.error)
      : {
          scene: 'asleep',
          title: 'Ready when you are',
          detail: 'Go live, and a server wakes for you. Or watch somebody who is live.',
          actions: ['live', 'watch'],
        };
  }
  const actions = ['stop'];
  if (state.change?.kind === 'moving') {
    const badge = state.camera && PREVIEW;
    return {
      scene: state.camera ? 'video' : 'awake',
      badge,
      title: 'Getting another server',
      detail: 'The one before went away. The video comes back by itself.',
      actions,
    };
  }
  if (stage === 'on') {
    const badge = {
      kind: role === 'publish' ? 'live' : 'playing',
      text: `${role === 'publish' ? 'Live' : 'Watching'} ${clock(now - state.since)}`,
    };
    return role === 'publish'
      ? {
          scene: 'video',
          title: 'You are live',
          detail: 'Open this page in another tab and press Watch to see yourself.',
          badge,
          actions,
        }
      : {
          scene: 'video',
          title: 'Watching',
          detail: 'Straight from the server, for as long as it is live.',
          badge,
          actions,
        };
  }
  const badge = state.camera && PREVIEW;
  const before = { scene: state.camera ? 'video' : 'asleep', badge, actions };
  if (stage === 'camera') {
    return {
      ...before,
      title: 'Your camera, please',
      detail: 'Allow camera and microphone. No server is woken before that.',
    };
  }
  if (stage === 'nobody') {
    return state.since === undefined
      ? {
          ...before,
          scene: 'awake',
          title: 'The server is awake',
          detail: 'Nobody is live on it yet. The picture comes by itself.',
        }
      : {
          ...before,
          scene: 'awake',
          title: 'The stream has ended',
          detail: 'If it goes on, the picture comes back by itself.',
        };
  }
  if (stage === 'opening' && state.since !== undefined) {
    return {
      ...before,
      scene: state.camera ? 'video' : 'awake',
      title: 'Opening the video again',
      detail: 'The connection to the server broke. You need do nothing.',
    };
  }
  if (stage === 'opening') {
    return {
      ...before,
      scene: state.camera ? 'video' : 'awake',
      title: role === 'publish' ? 'Going live' : 'Opening the picture',
      detail: 'The server is ready. The video is being connected.',
    };
  }
  // Who watches wakes nothing: until somebody else does, there is no start to tell of.
  if (role === 'watch' && (!progress || ['requested', 'ready'].includes(progress.phase))) {
    return {
      ...before,
      title: 'Waiting for somebody to go live',
      detail: 'No server is woken for this. You are in as soon as there is something to see.',
    };
  }
  return starting(state, before, role);
}

function starting(state, before, role) {
  const progress = state.progress ?? { phase: 'requested', fraction: 0 };
  return {
    ...before,
    scene: state.camera ? 'video' : 'waking',
    title: role === 'publish' ? phaseOf(progress.phase) : 'Somebody is going live',
    detail:
      role === 'publish'
        ? wait(progress, state.usual)
        : `${phaseOf(progress.phase)}. ${wait(progress, state.usual)}`,
    calm: progress.overdue ? 'It takes longer than usual' : '',
    progress,
  };
}

function failed(error) {
  const { title, help, actions } = errorOf(error);
  return {
    scene: 'asleep',
    tone: 'bad',
    title,
    detail: help,
    actions: [...actions, 'back'],
    code: error.code,
  };
}

/** What is worth saying beside the state, and is no reason to worry. */
function notice({ role, change, stage, error }, link, now) {
  if (error || role === undefined) return undefined;
  if (change?.kind === 'draining') {
    const left = change.endsAt - now;
    const calm = 'Nobody needs this server any more, and it is about to stop';
    const when = left > 0 ? `It stops in ${span(left)}` : 'It is about to stop';
    return { text: `Nobody needs this server any more. ${when}; you need do nothing.`, calm };
  }
  if (link.kind === 'failed') {
    const { title, help, actions } = errorOf(link.error);
    const text = `${title}. ${help}${stage === 'on' ? ' The video goes on for now.' : ''}`;
    return { text, calm: text, actions };
  }
  if (link.kind === 'reconnecting') {
    const goesOn = stage === 'on' ? 'The video goes on' : 'Nothing is lost';
    const text = `${linkOf(link)}. ${goesOn}; the connection is tried again by itself.`;
    return { text, calm: text };
  }
  return undefined;
}

/** `0:07`, `12:34`, `1:02:03`. */
function clock(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const [hours, ...rest] = parts;
  const two = (number) => String(number).padStart(2, '0');
  return hours > 0 ? [hours, ...rest.map(two)].join(':') : `${rest[0]}:${two(rest[1])}`;
}
