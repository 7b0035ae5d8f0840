import { invalid } from './error.js';

/** Hosts that never leave the machine, and so may be reached without TLS. */
const LOOPBACK = /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/;

/**
 * Checks an address that the app configured. `plain` is for this machine, for the page's own origin
 * and for `allowed` hosts. What was given is not quoted: it may hold a secret.
 */
export function readAddress(name, text, secure, plain, base, allowed = []) {
  let url;
  try {
    url = new URL(text, base);
  } catch {
    throw invalid(`${name} is no address: expected ${secure}//host/path`);
  }
  const local = LOOPBACK.test(url.hostname) || url.origin === globalThis.location?.origin;
  const open = local || allowed.includes(url.hostname);
  if (url.protocol !== secure && !(url.protocol === plain && open)) {
    throw invalid(
      `${name} must begin with ${secure}//; ${plain}// is for this machine, and for hosts that are ` +
        'named in insecureHosts',
    );
  }
  if (url.username || url.password || url.search || url.hash) {
    throw invalid(
      `${name} must hold no user name, query or fragment: tokens travel by tokenProvider, never in an ` +
        'address',
    );
  }
  return url;
}
