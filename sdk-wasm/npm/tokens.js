import { readAddress } from './address.js';
import { textOf } from './error.js';

/**
 * For everything up to the last byte: less than the 15 s that the client waits for a provider, so
 * that the failure names the backend.
 */
const HTTP_TIMEOUT = 12_000;

const BRAND = Symbol.for('wakecast.tokenError');

/** What a token provider throws to say more than that it failed. */
export class TokenError extends Error {
  constructor(message, { refused = false, retryAfter, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.refused = refused;
    this.retryAfter = retryAfter;
  }
}

Object.defineProperty(TokenError.prototype, 'name', { value: 'TokenError' });
Object.defineProperty(TokenError.prototype, BRAND, { value: true });

/** Reads what a provider returned. Never quotes it. */
export function readToken(answer) {
  const { token, expiresIn } = typeof answer === 'string' ? { token: answer } : (answer ?? {});
  if (typeof token !== 'string') {
    throw new TypeError('the token provider returned no token: expected a text, or { token, expiresIn }');
  }
  if (expiresIn !== undefined && typeof expiresIn !== 'number') {
    throw new TypeError('the token provider returned an expiresIn that is no number of milliseconds');
  }
  return { token, expiresIn };
}

/** Reads what a provider threw. */
export function readFailure(thrown) {
  const { refused, retryAfter } = thrown?.[BRAND] ? thrown : {};
  return { message: textOf(thrown), refused: refused === true, retryAfter };
}

/** Always the same token, for development. */
export function fixedToken(token) {
  return (reason) => {
    if (reason !== 'rejected') return token;
    throw new TokenError(
      'the server refused the fixed token, which cannot be renewed: make a client with a fresh one, ' +
        'or give it a provider that can ask for another',
      { refused: true },
    );
  };
}

/** Asks the app's own backend: `POST`, with and for JSON. */
export function httpTokenProvider(url, { headers, credentials = 'same-origin' } = {}) {
  const address = () => readAddress("the token provider's url", url, 'https:', 'http:', pageOf());
  // A server renders pages too, and has no address that this one could be relative to.
  if (pageOf() !== undefined || /^[a-z]+:/i.test(url)) address();
  return async (reason, { signal }) => {
    const place = `the token address on ${address().host}`;
    const asked = new AbortController();
    const stop = () => asked.abort();
    signal.addEventListener('abort', stop, { once: true });
    const late = setTimeout(stop, HTTP_TIMEOUT);
    try {
      const response = await fetch(address(), {
        method: 'POST',
        headers: readHeaders(typeof headers === 'function' ? await headers() : headers),
        body: JSON.stringify({ reason }),
        credentials,
        cache: 'no-store',
        redirect: 'manual',
        signal: asked.signal,
      });
      judge(place, response);
      return readAnswer(place, await response.text());
    } catch (error) {
      if (error?.[BRAND]) throw error;
      const why = asked.signal.aborted ? 'no whole answer within 12 s' : textOf(error);
      throw new TokenError(`no token from ${place}: ${why}`);
    } finally {
      clearTimeout(late);
      signal.removeEventListener('abort', stop);
    }
  };
}

/** Some browsers quote a header that they refuse, and these hold secrets. */
function readHeaders(given) {
  try {
    return new Headers({ ...given, 'content-type': 'application/json', accept: 'application/json' });
  } catch {
    throw new Error('a header cannot be sent: its name or value is not one of HTTP');
  }
}

const pageOf = () => globalThis.document?.baseURI ?? globalThis.location?.href;

function judge(place, response) {
  const { status } = response;
  if (status === 200 || status === 201) return;
  if (status === 401) {
    throw new TokenError(`${place} does not know this user (HTTP 401): sign in again`, { refused: true });
  }
  if (status === 403) {
    throw new TokenError(`${place} gives this user no token (HTTP 403)`, { refused: true });
  }
  // A browser shows no more of a redirect than that it is one.
  if (response.type === 'opaqueredirect' || (status >= 300 && status < 400)) {
    throw new TokenError(
      `${place} redirects, which is not followed: give the final address, or sign in to the network ` +
        'that answers in its place',
    );
  }
  const asksToWait = status === 429 || status === 503;
  throw new TokenError(`${place} answered with HTTP ${status}`, {
    retryAfter: asksToWait ? retryAfter(response) : undefined,
  });
}

/** Reads `Retry-After`: only seconds, since the other form is a date and the device's clock may be wrong. */
export function retryAfter(response) {
  const text = response.headers.get('retry-after');
  return text !== null && /^\d+$/.test(text) ? Number(text) * 1000 : undefined;
}

/** Reads the backend's answer. Never quotes it. */
function readAnswer(place, text) {
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new TokenError(
      `no token from ${place}: its answer is not JSON: the address may be wrong, or a network's ` +
        'sign-in page answers',
    );
  }
  const token = answer?.token;
  const life = answer?.expires_in ?? 0;
  if (typeof token !== 'string' || token === '' || typeof life !== 'number' || life < 0) {
    throw new TokenError(
      `no token from ${place}: its answer is not {"token": "…", "expires_in": seconds}`,
    );
  }
  return { token, expiresIn: life === 0 ? undefined : life * 1000 };
}
