export { Client } from './client.js';
export { configure } from './core.js';
export { ERROR_CODES, WakecastError, isWakecastError, remedyOf } from './error.js';
