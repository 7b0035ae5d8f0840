// What was wrong and how to mend it, in the words of the crate's own table.
const REMEDIES = Object.freeze({
  network_unreachable:
    'the server could not be reached: check the network and the address; the client keeps trying',
  websocket_blocked:
    'HTTP reaches the server but WebSockets do not: something between blocks them; try another network or allow wss',
  connect_timeout: 'the server did not answer in time: check the network; the client keeps trying',
  connection_lost: 'the connection broke: the client reconnects by itself',
  throttled: 'the server asks for fewer requests: wait for the time in retry_after',
  service_unavailable: 'the service cannot answer at the moment: the client keeps trying',
  gateway_error:
    'API Gateway reported a failure of its own: the request is sent again or ends at its deadline',
  token_provider_failed: 'the token provider failed: mend the provider; it is asked again',
  token_rejected: 'the server refused the token: sign in again, then call retry()',
  token_expired: 'the token has ended: the provider must return a fresh one',
  forbidden: 'the token does not allow this: ask the operator for the right',
  client_too_old: 'the server no longer speaks this version: update the SDK',
  protocol_error:
    "the server's answer is not of this protocol: check that the address is a wakecast gateway",
  message_too_large: 'the message is larger than 32 KB: send less',
  queue_full: 'too many requests wait for the connection: wait for some to end',
  request_timeout: 'the request was not answered in time: try again',
  cancelled: 'the app cancelled the request: acquire again when it is wanted',
  closed: 'the client is closed: make a new one',
  capacity_unavailable: 'there is no server capacity at the moment: try again later',
  start_failed: 'the media server could not be started: try again in ten minutes, or tell the operator',
  start_timeout: 'no media server was ready by the deadline: try again, or set a longer deadline',
  endpoint_unreachable:
    'the media server is ready but this network does not reach it: check firewalls for its port',
  lease_lost: 'the lease is gone: acquire again',
  quota_exceeded:
    'a quota is used up: ask again after `retry_after` if there is one, or ask the operator for more',
  misconfigured: 'the service is set up wrongly: the operator must mend it',
  invalid_argument: 'an argument is wrong: see the message',
});

const UNKNOWN =
  'the server reported an error that this version does not know: update the SDK to read it';

// An app may have loaded two copies of this package, and an error of either is one.
const BRAND = Symbol.for('wakecast.error');

/** Every error code that this version knows. */
export const ERROR_CODES = Object.freeze(Object.keys(REMEDIES));

/** What can be done about an error code, in plain words. */
export function remedyOf(code) {
  return Object.hasOwn(REMEDIES, code) ? REMEDIES[code] : UNKNOWN;
}

/** What failed, what that means for the request, and what can be done about it. */
export class WakecastError extends Error {
  constructor({ code, message, cause, ...rest }) {
    super(message ?? remedyOf(code), cause === undefined ? undefined : { cause });
    this.code = code;
    this.retryable = rest.retryable ?? false;
    this.retryAfter = rest.retryAfter;
    this.outcome = rest.outcome ?? 'not_sent';
    this.stage = rest.stage ?? 'local';
    this.userAction = rest.userAction ?? 'none';
  }

  toJSON() {
    const { name, message, code, retryable, retryAfter, outcome, stage, userAction, cause } = this;
    const parts = { name, code, message, retryable, retryAfter, outcome, stage, userAction };
    return cause === undefined ? parts : { ...parts, cause: textOf(cause) };
  }
}

// Not in each of them, where a log would print it.
Object.defineProperty(WakecastError.prototype, 'name', { value: 'WakecastError' });
Object.defineProperty(WakecastError.prototype, BRAND, { value: true });

/** Whether something that was caught is an error of this package, of any copy of it. */
export function isWakecastError(value) {
  return typeof value === 'object' && value !== null && value[BRAND] === true;
}

export const invalid = (message) => new WakecastError({ code: 'invalid_argument', message });

/** What something that was thrown says. Anything can be thrown. */
export function textOf(thrown) {
  try {
    return String(thrown?.message ?? thrown);
  } catch {
    return 'something that has no text was thrown';
  }
}
