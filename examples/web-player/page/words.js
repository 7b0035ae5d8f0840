// What a person reads, for everything that can happen. Knows no page and no client.

/** The steps of a start, in the order of the phases that they stand for. */
export const STEPS = Object.freeze([
  { phases: ['requested', 'waiting_for_capacity'], name: 'Ask' },
  { phases: ['launching'], name: 'Launch' },
  { phases: ['booting'], name: 'Boot' },
  { phases: ['warming'], name: 'Warm up' },
  { phases: ['verifying', 'ready'], name: 'Check' },
]);

/** Which step a phase belongs to; an unknown one is taken for the first. */
export const stepOf = (phase) =>
  Math.max(
    0,
    STEPS.findIndex(({ phases }) => phases.includes(phase)),
  );

const PHASES = Object.freeze({
  requested: 'Asking for a server',
  waiting_for_capacity: 'Looking for a free server',
  launching: 'Launching a server',
  booting: 'The server is booting',
  warming: 'The server is warming up',
  verifying: 'Trying the server from here',
  ready: 'The server is ready',
});

export const phaseOf = (phase) => PHASES[phase] ?? 'Waking a server';

/** A time as a person says it, never shorter than it is: `8 s`, `2 min`. */
export function span(milliseconds) {
  const seconds = Math.max(1, Math.ceil(milliseconds / 1000));
  if (seconds < 100) return `${seconds} s`;
  return `${Math.ceil(seconds / 60)} min`;
}

/** How long a start still takes. `usual` is what nine in ten take in all, where that was told. */
export function wait({ phase, overdue, etaP50, etaP90 }, usual) {
  if (phase === 'waiting_for_capacity') {
    return 'The cloud has none to give at the moment. It is tried again by itself.';
  }
  if (overdue) {
    const most =
      usual === undefined ? 'Nine in ten are quicker' : `Nine in ten are ready within ${span(usual)}`;
    return `Longer than usual. ${most}; this one is still on its way.`;
  }
  if (etaP50 === undefined || etaP90 === undefined) return 'Finding out how long it takes.';
  if (etaP90 < 1000) return 'Any moment now.';
  if (etaP50 < 1000) return `Any moment, seldom more than ${span(etaP90)}.`;
  const most = span(etaP90) === span(etaP50) ? '' : `, seldom more than ${span(etaP90)}`;
  return `Ready in about ${span(etaP50)}${most}.`;
}

const LINKS = Object.freeze({
  idle: 'Not connected',
  connecting: 'Connecting',
  connected: 'Connected',
  reconnecting: 'Reconnecting',
  paused: 'Paused',
  failed: 'Connection failed',
  closed: 'Closed',
});

export const linkOf = ({ kind, reason }) =>
  kind === 'reconnecting' && reason === 'offline' ? 'Offline' : (LINKS[kind] ?? 'Connecting');

const LOST = Object.freeze({
  stopped: 'the server was stopped',
  instance_gone: 'the server is gone',
  start_failed: 'no other server could be started',
  taken_over: 'another window took it over',
  released: 'it was given back',
});

/** Why a lease is gone, for the middle of a sentence. */
export const lostOf = (reason) => LOST[reason] ?? 'the server is gone';

/** What an error means here: what happened, and what the person in front of the page can do. */
const ERRORS = Object.freeze({
  network_unreachable: [
    'No connection to the service',
    'Check your network, then try again.',
  ],
  websocket_blocked: [
    'Something blocks the connection',
    'A firewall or proxy stops WebSockets. Try another network.',
  ],
  connect_timeout: ['The service does not answer', 'Check your network, then try again.'],
  connection_lost: ['The connection broke', 'It usually comes back by itself. If it does not, try again.'],
  throttled: ['Too much at once', 'The service asks for a pause. Wait a moment, then try again.'],
  service_unavailable: [
    'The service is not available',
    'It should be back soon. Wait a moment, then try again.',
  ],
  gateway_error: ['The service had a hiccup', 'Nothing of yours is wrong. Wait a moment, then try again.'],
  token_provider_failed: ['Signing in did not work', 'The sign-in server gave this page no token. Try again.'],
  token_rejected: ['You are signed out', 'The service does not accept your sign-in any more. Sign in again.'],
  token_expired: ['Your sign-in has ended', 'Sign in again to go on.'],
  forbidden: [
    'You are not allowed to do this',
    'Ask whoever runs this service for the right. The report tells them which.',
  ],
  client_too_old: ['This page is out of date', 'Load it anew to get the current version.'],
  protocol_error: [
    'That is not the right service',
    'What answered is not a wakecast gateway. Tell whoever runs this page.',
  ],
  message_too_large: [
    'The request is too large',
    'This page asked for more than fits. The report tells whoever runs it.',
  ],
  queue_full: ['Too much is waiting', 'Wait until the connection is back, then try again.'],
  request_timeout: ['No answer in time', 'Try again; nothing is started twice.'],
  cancelled: ['Cancelled', 'Start again whenever you like.'],
  closed: ['The connection is closed', 'Load the page anew to go on.'],
  capacity_unavailable: [
    'No server is free',
    'The cloud has no capacity at the moment. Wait a little, then try again.',
  ],
  start_failed: [
    'The server did not start',
    'It was tried twice. Tell whoever runs this service, or try again in ten minutes.',
  ],
  start_timeout: [
    'The server took too long',
    'It was not ready in time. Try again: the next start is often quicker.',
  ],
  endpoint_unreachable: [
    'Your network does not reach the server',
    'The server runs, but a firewall may be in between. Try another network.',
  ],
  lease_lost: ['Your server is gone', 'Try again to get another one.'],
  quota_exceeded: [
    'A limit is reached',
    'Whoever runs this service can raise it. The report tells them which.',
  ],
  misconfigured: [
    'The service is not set up right',
    'Only whoever runs it can mend that. The report tells them what is wrong.',
  ],
  invalid_argument: [
    'This page asked for something wrong',
    'Tell whoever runs it. The report says what it was.',
  ],
  // The page's own.
  camera_refused: [
    'The camera is not allowed',
    'Allow camera and microphone for this page, then try again. No server was started.',
  ],
  camera_missing: ['No camera was found', 'Connect a camera, then try again. No server was started.'],
  stream_in_use: ['Somebody is live already', 'Watch them, or try again once they have stopped.'],
  media_failed: [
    'The video connection failed',
    'The server is there, but video did not get through. Try again.',
  ],
});

export const KNOWN_ERRORS = Object.freeze(Object.keys(ERRORS));

/** What to say of an error, and what the buttons below it do, the best first. */
export function errorOf(error) {
  const [title, help] = ERRORS[error.code] ?? [
    'Something went wrong',
    'Try again, or tell whoever runs this service.',
  ];
  const why = error.reason === undefined ? '' : `${sentence(lostOf(error.reason))} `;
  return { title, help: why + help + pause(error), actions: actionsOf(error) };
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

const pause = ({ retryAfter }) => (retryAfter > 0 ? ` It asks for ${span(retryAfter)}.` : '');

const FIRST = Object.freeze({
  sign_in: 'sign-in',
  update_app: 'reload',
  contact_operator: 'report',
});

/** Mistakes of the page, which trying again cannot mend. */
const OURS = Object.freeze(['invalid_argument', 'message_too_large']);

function actionsOf({ code, userAction, retryable }) {
  if (code === 'stream_in_use') return ['watch', 'again'];
  if (code === 'closed') return ['reload'];
  if (OURS.includes(code)) return ['report'];
  const first = FIRST[userAction] ?? 'again';
  const second = first === 'report' && retryable ? ['again'] : [];
  return [first, ...second];
}
