/**
 * Asks the page's own server for a token, as an app asks its backend: the answer and the refusals
 * are those of the ready-made HTTP provider of the native client.
 */
export async function signIn(reason) {
  const answer = await fetch('/token', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ reason }),
    cache: 'no-store',
  });
  if (answer.ok) {
    const { token, expires_in: seconds } = await answer.json();
    return { token, expiresIn: seconds === undefined ? undefined : seconds * 1000 };
  }
  const seconds = Number(answer.headers.get('retry-after') ?? undefined);
  throw Object.assign(new Error(`the sign-in server answered ${answer.status}`), {
    refused: answer.status === 401 || answer.status === 403,
    retryAfter: Number.isFinite(seconds) ? seconds * 1000 : undefined,
  });
}
