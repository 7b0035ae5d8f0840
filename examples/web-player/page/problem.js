/** What the page itself finds wrong, in the shape of the client's errors. */
export function problem(code, detail = {}) {
  const error = new Error(code);
  return Object.assign(error, { code, userAction: 'retry', retryable: true, ...detail });
}
