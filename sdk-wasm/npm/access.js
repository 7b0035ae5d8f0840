/**
 * Asks `GET /v1/access` why a handshake failed, which a browser does not tell. Returns the status and
 * the wait that was asked for; throws where there was no answer.
 */
export async function askAccess(url, token) {
  const address = new URL(url);
  address.pathname = `${address.pathname.replace(/\/+$/, '')}/v1/access`;
  const response = await fetch(address, {
    headers: { authorization: `Bearer ${token}` },
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
    referrerPolicy: 'no-referrer',
  });
  const retryAfter = response.headers.get('retry-after');
  // Only seconds: the other form is a date, and the device's clock may be wrong.
  const seconds = retryAfter !== null && /^\d+$/.test(retryAfter) ? Number(retryAfter) : undefined;
  return { status: response.status, retryAfter: seconds === undefined ? undefined : seconds * 1000 };
}
