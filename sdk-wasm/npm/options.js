import { readAddress } from './address.js';
import { invalid } from './error.js';

/** How many gateways the machine takes. */
const MAX_GATEWAYS = 8;

/** Reads the settings of a client, and refuses what could never work. */
export function readOptions(url, options) {
  const { tokenProvider, accessUrl, fallbacks = [], clientId, verify = true } = options ?? {};
  if (typeof tokenProvider !== 'function') {
    throw invalid('tokenProvider must be a function that returns a token, or a promise of one');
  }
  if (clientId !== undefined && !/^[\x21-\x7e]{1,128}$/.test(clientId)) {
    throw invalid('clientId must have 1 to 128 visible ASCII characters, no spaces among them');
  }
  if (fallbacks.length >= MAX_GATEWAYS) {
    throw invalid(
      `there are ${fallbacks.length} fallbacks and at most ${MAX_GATEWAYS - 1} can be tried`,
    );
  }
  const insecure = options.insecureHosts;
  const gateways = [
    readGateway('', { url, accessUrl }, insecure),
    ...fallbacks.map((gateway, index) => readGateway(`fallbacks[${index}].`, gateway, insecure)),
  ];
  return { gateways, tokenProvider, clientId, verify };
}

function readGateway(place, { url, accessUrl }, insecure) {
  return {
    url: readAddress(`${place}url`, url, 'wss:', 'ws:', undefined, insecure).href,
    accessUrl:
      accessUrl === undefined
        ? undefined
        : readAddress(`${place}accessUrl`, accessUrl, 'https:', 'http:', undefined, insecure).href,
  };
}
