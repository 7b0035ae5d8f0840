import { retryAfter } from './tokens.js';

/**
 * Asks `GET /v1/access` why a handshake failed, which a browser does not tell. Returns the status and
 * the wait that was asked for; throws where there was no answer.
 */
export async function askAccess(url, token, signal) {
  const address = new URL(url);
  address.pathname = `${address.pathname.replace(/\/+$/, '')}/v1/access`;
  const response = await fetch(address, {
    headers: { authorization: `Bearer ${token}` },
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
    referrerPolicy: 'no-referrer',
    signal,
  });
  return { status: response.status, retryAfter: retryAfter(response) };
}
