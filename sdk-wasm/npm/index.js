export { Client } from './client.js';
export { configure } from './core.js';
export { ERROR_CODES, WakecastError, isWakecastError, remedyOf } from './error.js';
export { TokenError, fixedToken, httpTokenProvider } from './tokens.js';
