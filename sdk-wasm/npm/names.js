/**
 * Turns the wire's names into JavaScript's, as the other languages have them: `retry_in_ms` into
 * `retryIn`. All times are milliseconds.
 */
export function camel(value) {
  if (Array.isArray(value)) return value.map(camel);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name.replace(/_ms$/, '').replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase()),
      camel(inner),
    ]),
  );
}
