/** Random bytes of the browser. */
export function randomBytes(count) {
  return crypto.getRandomValues(new Uint8Array(count));
}

/** An id of 128 random bits: 32 hexadecimal digits. */
export function randomId() {
  return Array.from(randomBytes(16), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
