// The whole surface as an app writes it, and what must not compile.

import {
  Client,
  ERROR_CODES,
  TokenError,
  WakecastError,
  configure,
  fixedToken,
  httpTokenProvider,
  isWakecastError,
  remedyOf,
} from 'wakecast';
import type {
  Acquisition,
  AcquireOptions,
  ClientEvent,
  ClientOptions,
  ConnectionState,
  Endpoint,
  ErrorCode,
  FleetStatus,
  KnownErrorCode,
  Lease,
  LeaseChange,
  Progress,
  TokenProvider,
  UnknownErrorCode,
  WakecastErrorJson,
} from 'wakecast';

/** Compiles only if both types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const check = <_ extends true>(): void => {};

/** Compiles only if every case was handled. */
const never = (value: never): never => value;

const url = 'wss://gateway.example.com/prod';
const tokenProvider: TokenProvider = async (reason, { signal }) => {
  const answer = await fetch(`/token?${reason}`, { method: 'POST', signal });
  if (answer.status === 403) throw new TokenError('not a subscriber', { refused: true });
  if (!answer.ok) throw new TokenError('busy', { retryAfter: 5_000, cause: answer.status });
  return { token: await answer.text(), expiresIn: 3_600_000 };
};

// Every form of a provider.
const providers: TokenProvider[] = [
  () => 'text',
  async () => 'text',
  () => ({ token: 'text' }),
  async () => ({ token: 'text', expiresIn: undefined }),
  fixedToken('text'),
  httpTokenProvider('/token'),
  httpTokenProvider(new URL(url), { headers: { authorization: 'Bearer t' }, credentials: 'include' }),
  httpTokenProvider('/token', { headers: async () => ({ cookie: 'c' }) }),
  // @ts-expect-error: no token
  () => undefined,
  // @ts-expect-error: a bigint is no time
  () => ({ token: 'text', expiresIn: 5n }),
  // @ts-expect-error: no such reason
  (reason: 'other') => reason,
];
void providers;

const client = new Client(url, { tokenProvider });
new Client(url, { tokenProvider, accessUrl: 'https://x', fallbacks: [{ url, accessUrl: 'https://y' }], clientId: 'c', verify: false, insecureHosts: ['192.168.1.5'] });
// @ts-expect-error: no token provider
new Client(url, {});
// @ts-expect-error: no options
new Client(url);
// @ts-expect-error: a misspelt option
new Client(url, { tokenProvider, accessURL: 'https://x' });
check<Same<ReturnType<typeof Client.resume>, Promise<Client>>>();
await Client.resume(url, { tokenProvider, name: 'preview' });

// The state is a discriminated union, and fits useSyncExternalStore.
function show(state: ConnectionState): string {
  switch (state.kind) {
    case 'idle':
    case 'paused':
    case 'closed':
      // @ts-expect-error: only a failure has an error
      void state.error;
      return state.kind;
    case 'connecting':
      return state.stage;
    case 'connected':
      return state.session;
    case 'reconnecting':
      return `${state.reason} ${state.retryIn.toFixed()} ${state.attempt.toFixed()}`;
    case 'failed':
      return state.error.message;
    default:
      return never(state);
  }
}
const store: { subscribe: (changed: () => void) => () => void; snapshot: () => ConnectionState } = {
  subscribe: client.subscribe,
  snapshot: () => client.state,
};
void store;
show(client.state);
// @ts-expect-error: read only
client.state = { kind: 'idle' };

// Acquiring.
const abort = new AbortController();
const wish: AcquireOptions = { app: 'live', streamId: 'match-1' };
const acquisition: Acquisition = client.acquire({
  ...wish,
  purpose: 'publish',
  fleet: 'main',
  id: 'an-id',
  signal: abort.signal,
  deadline: 60_000,
  verify: true,
  onProgress: (progress) => check<Same<typeof progress, Progress>>(),
});
// @ts-expect-error: no stream
client.acquire({ app: 'live' });
// @ts-expect-error: no such purpose
client.acquire({ ...wish, purpose: 'record' });
// @ts-expect-error: milliseconds, and no bigint
client.acquire({ ...wish, deadline: 60_000n });
// @ts-expect-error: no signal
client.acquire({ ...wish, signal: abort });
check<Same<Awaited<Acquisition>, Lease>>();
const lease = await acquisition;
check<Same<typeof lease, Lease>>();
const caught: Promise<Lease | string> = acquisition.catch(() => 'text');
const settled: Promise<Lease> = acquisition.finally(() => {});
await Promise.all([caught, settled]);

for await (const progress of acquisition.progress) {
  const { phase, elapsed, etaP50, etaP90, fraction, overdue, note } = progress;
  check<Same<typeof elapsed, number>>();
  check<Same<typeof etaP50, number | undefined>>();
  check<Same<typeof etaP90, number | undefined>>();
  void [fraction, overdue, note];
  if (phase === 'waiting_for_capacity') break;
  // @ts-expect-error: no such phase
  if (phase === 'sleeping') break;
  // @ts-expect-error: a snapshot cannot be changed
  progress.fraction = 1;
}
check<Same<typeof acquisition.progress.value, Progress | undefined>>();
const id: string = acquisition.detach();
void id;

// The lease.
const endpoint: Endpoint = await lease.endpoint();
check<Same<typeof endpoint.streamToken, string | undefined>>();
function follow(change: LeaseChange): string | number {
  switch (change.kind) {
    case 'draining':
      return change.endsIn;
    case 'held':
    case 'moved':
      return change.endpoint.websocketUrl;
    case 'lost':
      return change.reason;
    case 'moving':
    case 'released':
      return change.kind;
    default:
      return never(change);
  }
}
for await (const change of lease.changes()) follow(change);

// Events.
function log(event: ClientEvent): unknown {
  switch (event.type) {
    case 'state':
      return event.state;
    case 'progress':
      return [event.id, event.progress];
    case 'lease':
      return [event.id, event.status, event.change];
    case 'diagnostic':
      return event.error;
    case 'lagged':
      return event.n;
    default:
      return never(event);
  }
}
for await (const event of client.events()) log(event);

// Disposal.
{
  await using short = await client.acquire(wish);
  await using waiting = client.acquire(wish);
  await using whole = new Client(url, { tokenProvider });
  void [short, waiting, whole];
}

// Errors.
function remedy(error: unknown): string {
  // @ts-expect-error: nothing is known yet
  void error.code;
  if (!isWakecastError(error)) return 'not ours';
  check<Same<typeof error, WakecastError>>();
  const text: string = error.code;
  const wait: number | undefined = error.retryAfter;
  void [text, wait, error.outcome, error.stage, error.cause];
  // @ts-expect-error: a misspelt code
  if (error.code === 'throtled') return 'never';
  // @ts-expect-error: a misspelt action
  if (error.userAction === 'check-network') return 'never';
  switch (error.code) {
    case 'throttled':
      return `wait ${error.retryAfter ?? 0} ms`;
    // @ts-expect-error: a misspelt code
    case 'canceled':
      return '';
    default:
      return remedyOf(error.code);
  }
}
remedy(new WakecastError({ code: 'closed' }));
// @ts-expect-error: no such code
new WakecastError({ code: 'oops' });
check<Same<ErrorCode, KnownErrorCode | UnknownErrorCode>>();
const words: Record<KnownErrorCode, string> = Object.fromEntries(ERROR_CODES.map((code) => [code, remedyOf(code)])) as Record<KnownErrorCode, string>;
// @ts-expect-error: not all codes
const some: Record<KnownErrorCode, string> = { closed: '' };
void [words, some];
const json: WakecastErrorJson = new WakecastError({ code: 'closed' }).toJSON();
void json;

// The module and fleets.
configure({ wasm: new URL('https://cdn.example.com/wakecast.wasm') });
configure({ wasm: fetch('/wakecast.wasm') });
configure({ wasm: new Uint8Array(8) });
// @ts-expect-error: nothing to load
configure({});
const fleet: FleetStatus = await client.status('main');
const codes: ErrorCode | undefined = fleet.operator?.pause?.code;
void codes;

// What is not exported.
// @ts-expect-error: made by the client only
import { Lease as NoValue } from 'wakecast/lease.js';
void NoValue;
const options: ClientOptions = { tokenProvider };
void options;
