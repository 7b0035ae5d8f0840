/**
 * Turns the wire's names into JavaScript's, as the other languages have them: `retry_in_ms` into
 * `retryIn`. All times are milliseconds. What comes out cannot be changed.
 */
export function camel(value) {
  if (Array.isArray(value)) return Object.freeze(value.map(camel));
  if (value === null || typeof value !== 'object') return value;
  const object = {};
  for (const [name, inner] of Object.entries(value)) {
    const renamed = name
      .replace(/_ms$/, '')
      .replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());
    // A secret is found by its name alone: not by a log, by JSON, or in a copy.
    const enumerable = name !== 'stream_token';
    Object.defineProperty(object, renamed, { value: camel(inner), enumerable });
  }
  return Object.freeze(object);
}
