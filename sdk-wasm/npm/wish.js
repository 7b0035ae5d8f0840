import { WakecastError, invalid } from './error.js';

const PURPOSES = ['publish', 'play', 'watch'];

/** Reads what an app asks for. Its types are checked here, and the machine checks the rest. */
export function readWish(options, verifyUnlessSet) {
  const {
    app,
    streamId,
    purpose = 'play',
    fleet,
    id,
    signal,
    deadline,
    verify = verifyUnlessSet,
    onProgress,
  } = options ?? {};
  const is = (value, type) => typeof value === type;
  const maybe = (value, type) => value === undefined || is(value, type);
  const wrong = Object.entries({
    'app must be a text, such as "live"': is(app, 'string'),
    'streamId must be a text': is(streamId, 'string'),
    'purpose must be "publish", "play" or "watch"': PURPOSES.includes(purpose),
    'fleet must be a text': maybe(fleet, 'string'),
    'id must be a text': maybe(id, 'string'),
    'signal must be an AbortSignal': signal === undefined || is(signal?.addEventListener, 'function'),
    'deadline must be a number of milliseconds': maybe(deadline, 'number'),
    'onProgress must be a function': maybe(onProgress, 'function'),
  }).find(([, right]) => !right);
  return {
    /** Why it is not even asked. */
    problem: problemOf(wrong?.[0], signal),
    /** What a reload finds its id by. */
    name: JSON.stringify([fleet ?? null, app, purpose, streamId]),
    id,
    signal,
    onProgress,
    ask: (driver, key, id) => driver.acquire(key, id, purpose, app, streamId, fleet, deadline, verify),
  };
}

function problemOf(wrong, signal) {
  if (wrong) return invalid(wrong);
  return signal?.aborted ? new WakecastError({ code: 'cancelled' }) : undefined;
}
