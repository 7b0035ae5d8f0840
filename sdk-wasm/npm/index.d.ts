/// <reference lib="es2022" />
/// <reference lib="esnext.disposable" />

/**
 * The web client of wakecast: an Ant Media Server on AWS that runs only while somebody needs it.
 *
 * All times are numbers of milliseconds. Objects that the client hands out are frozen snapshots.
 *
 * @packageDocumentation
 */

/**
 * The platform's `AbortSignal`; where its types are not loaded, the part of it that is used here.
 */
export type Signal = typeof globalThis extends { AbortSignal: { prototype: infer Platform } }
  ? Platform
  : SignalLike;

/** What the client uses of an `AbortSignal`. */
export interface SignalLike {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** An address: a text, or the platform's `URL`. */
export type Address =
  | string
  | (typeof globalThis extends { URL: { prototype: infer Platform } } ? Platform : never);

// ── The client ──────────────────────────────────────────────────────────────────────────────────

/** The addresses of one gateway. */
export interface Gateway {
  /**
   * WebSocket address of the service, such as `wss://gateway.example.com/prod`. Plain `ws://` is
   * for loopback. It holds no user name, query or fragment.
   */
  readonly url: string;
  /**
   * HTTP address of the same service, such as `https://access.example.com/prod`, where the client
   * asks why a connection was refused; a browser does not tell. Without it such a refusal stays
   * unexplained.
   */
  readonly accessUrl?: string | undefined;
}

/** The settings of a {@link Client}. */
export interface ClientOptions {
  /** Where tokens come from. */
  readonly tokenProvider: TokenProvider;
  /** See {@link Gateway.accessUrl}; that of the first gateway. */
  readonly accessUrl?: string | undefined;
  /**
   * The same service in other regions, in order of preference, used while those before are down; at
   * most 7. The client moves only while it holds no lease and waits for none.
   */
  readonly fallbacks?: readonly Gateway[] | undefined;
  /**
   * Names this client towards the server: 1 to 128 visible ASCII characters. Random unless set. Two
   * clients of one name take each other's leases over.
   */
  readonly clientId?: string | undefined;
  /**
   * Whether endpoints are proved from this page's own network before they are handed over; `true`
   * unless set.
   */
  readonly verify?: boolean | undefined;
  /**
   * Hosts that may be reached by plain `ws://` and `http://`, for a test network: tokens then travel
   * unencrypted. Loopback needs no leave.
   */
  readonly insecureHosts?: readonly string[] | undefined;
}

/** The settings of {@link Client.resume}. */
export interface ResumeOptions extends ClientOptions {
  /** Tells several clients of one page apart; `'default'` unless set. */
  readonly name?: string | undefined;
}

/**
 * Keeps one link to the service, and on it acquires endpoints. Make one when the app starts, and
 * keep it.
 *
 * Making one loads nothing and opens nothing: the WebAssembly module is fetched, once for the page,
 * with the first thing that is asked for.
 *
 * ```ts
 * const client = new Client('wss://gateway.example.com/prod', { tokenProvider });
 * await using lease = await client.acquire({ app: 'live', streamId: 'match-1', purpose: 'publish' });
 * const { websocketUrl, streamToken } = await lease.endpoint();
 * ```
 */
export declare class Client implements AsyncDisposable {
  /**
   * @param url - See {@link Gateway.url}.
   * @throws {@link WakecastError} `invalid_argument`, for an address or an option that could never work.
   */
  constructor(url: string, options: ClientOptions);

  /**
   * Makes a client that finds again what it held before the page was reloaded: an
   * {@link Client.acquire} that asks for the same gets the same lease, and no second server is
   * started. Ids are kept in `sessionStorage`, and nothing else. A duplicated tab, and a page
   * without `navigator.locks` or storage, begins anew.
   *
   * @returns A promise that rejects as the constructor throws, and never for want of storage.
   */
  static resume(url: string, options: ResumeOptions): Promise<Client>;

  /** The latest connection state: the same object until it changes. */
  readonly state: ConnectionState;

  /**
   * Calls `listener` after each change of {@link Client.state}. It needs no `this`, and so fits
   * React's `useSyncExternalStore(client.subscribe, () => client.state)`.
   *
   * @returns A function that ends it.
   */
  readonly subscribe: (listener: () => void) => () => void;

  /**
   * Reads what happens from now on, in order. Each call makes a reader of its own, which ends after
   * the client has closed. A reader that is 256 events behind loses the oldest, and is told so by
   * {@link LaggedEvent}.
   */
  events(): AsyncIterableIterator<ClientEvent, undefined, undefined>;

  /** Opens the link with nothing to ask yet, so that the first acquire need not wait for it. */
  connect(): void;

  /**
   * Asks for an endpoint. Starts at once, awaited or not, and opens the link if need be. Never
   * throws: what is wrong with the options rejects the acquisition.
   */
  acquire(options: AcquireOptions): Acquisition;

  /**
   * Asks what a fleet does: whether an instance is ready, how far a start is, how long it still
   * takes. Starts, keeps and wakes nothing, but opens the link if need be. Answered within 30 s.
   *
   * @param fleet - Needed only where the token allows several.
   * @throws {@link WakecastError} `invalid_argument` without `fleet` where it is needed, `forbidden`
   * where the token does not name it, `request_timeout`, `queue_full`, `closed`.
   */
  status(fleet?: string): Promise<FleetStatus>;

  /** Leaves the state `failed` with a fresh token. Does nothing in other states. */
  retry(): void;

  /**
   * Closes for good, from any state: releases what is held (waiting at most a second for it) and
   * rejects all that is still awaited with `closed`. Never rejects. Every later request ends with
   * `closed`.
   */
  close(): Promise<void>;

  /**
   * Closes like {@link Client.close} but tells the server nothing: for 120 s it keeps what is held
   * and waited for, and a successor that acquires with the same ids takes it over. Never rejects.
   */
  detach(): Promise<void>;

  /** {@link Client.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** How the link is. Decide by `kind`. */
export type ConnectionState =
  /** Nothing was asked for yet. */
  | { readonly kind: 'idle' }
  /** The first attempt is under way. */
  | { readonly kind: 'connecting'; readonly stage: 'token' | 'socket' | 'hello' }
  /** The server has answered. `session` names the link for the operator's logs. */
  | { readonly kind: 'connected'; readonly session: string }
  /** The link is down and is tried again, for as long as it takes, next in `retryIn` ms. */
  | {
      readonly kind: 'reconnecting';
      /** Attempts that failed in a row. */
      readonly attempt: number;
      readonly retryIn: number;
      /** Why: an error code, or the device says that it has no network. */
      readonly reason: ErrorCode | 'offline';
    }
  /** In the background with nothing held or waited for: no attempts. */
  | { readonly kind: 'paused' }
  /** Trying again is useless until the app has done something and calls {@link Client.retry}. */
  | { readonly kind: 'failed'; readonly error: WakecastError }
  /** Final. */
  | { readonly kind: 'closed' };

/** The connection state changed. */
export interface StateEvent {
  readonly type: 'state';
  readonly state: ConnectionState;
}

/** An acquisition, or a lease that moves, came nearer to an instance. */
export interface ProgressEvent {
  readonly type: 'progress';
  /** Id of the acquisition or lease. */
  readonly id: string;
  readonly progress: Progress;
}

/** A lease changed. */
export interface LeaseEvent {
  readonly type: 'lease';
  /** Id of the lease. */
  readonly id: string;
  /** Its status after the change. */
  readonly status: LeaseStatus;
  readonly change: LeaseChange;
}

/** Something that belongs to no request and that a developer wants to see. */
export interface DiagnosticEvent {
  readonly type: 'diagnostic';
  readonly error: WakecastError;
}

/** The reader was too slow: `n` events were dropped before the next one. */
export interface LaggedEvent {
  readonly type: 'lagged';
  readonly n: number;
}

/** Something that happened. Decide by `type`; later versions may add some. */
export type ClientEvent = StateEvent | ProgressEvent | LeaseEvent | DiagnosticEvent | LaggedEvent;

// ── Acquiring ───────────────────────────────────────────────────────────────────────────────────

/**
 * What an endpoint is for. `publish` sends a stream, `play` views one, and both wake a server;
 * `watch` waits until somebody else's demand has woken one.
 */
export type Purpose = 'publish' | 'play' | 'watch';

/** What is asked for. */
export interface AcquireOptions {
  /** The media server's application, such as `'live'`. */
  readonly app: string;
  /** The stream. */
  readonly streamId: string;
  /** `'play'` unless set. */
  readonly purpose?: Purpose | undefined;
  /** The fleet; needed only where the token allows several. */
  readonly fleet?: string | undefined;
  /**
   * Names the wish, and later the lease: 1 to 64 of `A–Z a–z 0–9 _ - . :`, holding at least 128
   * random bits. Random unless set. The same id after a reload continues the same wish.
   */
  readonly id?: string | undefined;
  /**
   * Cancels when it aborts, also on the server: the acquisition then rejects with `cancelled`. Does
   * nothing once the lease was granted. Aborted from the start, nothing is asked at all.
   */
  readonly signal?: SignalLike | undefined;
  /**
   * How long to wait, in milliseconds: 1 000 to 3 600 000, 600 000 unless set; for `watch` up to a
   * day, which is also its default.
   */
  readonly deadline?: number | undefined;
  /** Overrides {@link ClientOptions.verify} for this one. */
  readonly verify?: boolean | undefined;
  /** Called with each progress. What it throws is reported like an uncaught error, and ends nothing. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/**
 * One wish for an endpoint, under way from the call on. Await it for the {@link Lease}: once the
 * endpoint is ready and was reached from this page's own network, at the latest at the deadline.
 * It need not be awaited, and leaves no unhandled rejection.
 *
 * It rejects with a {@link WakecastError}: `start_timeout` or `capacity_unavailable` at the deadline,
 * `cancelled`, `start_failed`, `endpoint_unreachable`, `forbidden`, `quota_exceeded`, `lease_lost`
 * when another client took the id over, the client's error when that fails, `closed`,
 * `invalid_argument`.
 *
 * Being awaitable, it is awaited where an `async` function returns it.
 */
export interface Acquisition extends PromiseLike<Lease>, AsyncDisposable {
  /** The id, also that of the lease: an app that keeps it can acquire with it again. */
  readonly id: string;
  /** The progress: the latest, and with `for await` each one until the outcome. */
  readonly progress: ProgressStream;
  /** As that of a `Promise`. */
  catch<T = never>(onRejected?: ((error: unknown) => T | PromiseLike<T>) | null): Promise<Lease | T>;
  /** As that of a `Promise`. */
  finally(onSettled?: (() => void) | null): Promise<Lease>;
  /** Cancels, also on the server. Does nothing after the outcome. */
  cancel(): void;
  /**
   * Lets go without cancelling, and returns the id. The wish goes on as long as the client lives; a
   * successor with the same id takes it over.
   */
  detach(): string;
  /** Cancels what has no outcome yet and waits until it has one, for `await using`. Never rejects. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A value that changes: the latest, a subscription, and an iteration which begins with the value
 * there is, skips what is out of date, and ends with the acquisition.
 */
export interface ProgressStream extends AsyncIterable<Progress, undefined, undefined> {
  /** The latest; `undefined` before the first. The same object until it changes. */
  readonly value: Progress | undefined;
  /** Calls `listener` after each change of {@link ProgressStream.value}. Needs no `this`. */
  readonly subscribe: (listener: () => void) => () => void;
  [Symbol.asyncIterator](): AsyncIterableIterator<Progress, undefined, undefined>;
}

/** How far a server is on its way, in this order. */
export type Phase =
  | 'requested'
  | 'waiting_for_capacity'
  | 'launching'
  | 'booting'
  | 'warming'
  | 'verifying'
  | 'ready';

/** How near an acquisition is to its endpoint. */
export interface Progress {
  readonly phase: Phase;
  /** Milliseconds since it was asked for. */
  readonly elapsed: number;
  /** Median of the remaining time in milliseconds; absent until the server has told. */
  readonly etaP50?: number;
  /** 90th percentile of the remaining time in milliseconds; absent until the server has told. */
  readonly etaP90?: number;
  /** From 0 to 1; never goes back, and is 1 only when the endpoint is proved. */
  readonly fraction: number;
  /** It takes longer than nine starts in ten. */
  readonly overdue: boolean;
  /** A remark, such as `restarting`. */
  readonly note?: string;
}

// ── Leases ──────────────────────────────────────────────────────────────────────────────────────

/**
 * The right to use a server until it is released, lost or forgotten. The client keeps it over
 * reconnects.
 *
 * Forgetting the object releases nothing. What ends a lease is {@link Lease.release},
 * {@link Client.close}, or, once the page is gone, the server after 120 s.
 */
export interface Lease extends AsyncDisposable {
  /** The id, which is that of its acquisition. */
  readonly id: string;
  /** The latest status. */
  readonly status: LeaseStatus;
  /** Calls `listener` after each change of {@link Lease.status}. Needs no `this`. */
  readonly subscribe: (listener: () => void) => () => void;
  /**
   * Reads the changes, until the lease is lost or released or the client closes. The first reader
   * begins at the grant, so that nothing is missed; later ones begin now.
   */
  changes(): AsyncIterableIterator<LeaseChange, undefined, undefined>;
  /**
   * Returns the endpoint with a stream token that is valid at that moment; ask each time a stream is
   * opened. While the lease moves to another server this waits for it.
   *
   * @throws {@link WakecastError} `lease_lost` once the lease is gone, `request_timeout`, `closed`.
   */
  endpoint(): Promise<Endpoint>;
  /**
   * Gives the lease back, so that its server can stop.
   *
   * @throws {@link WakecastError} `request_timeout` when the server did not confirm it, `closed`. The
   * lease counts as released all the same.
   */
  release(): Promise<void>;
  /**
   * Lets go without a word to the server, and returns the id by which a successor can acquire it
   * again. {@link Client.close} then does not release it.
   */
  detach(): string;
  /** {@link Lease.release}, for `await using`; but never rejects. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The status of a lease; `lost` and `released` are final. */
export type LeaseStatus = 'held' | 'draining' | 'moving' | 'lost' | 'released';

/** A change of a lease. Decide by `kind`. */
export type LeaseChange =
  /** Its server stops in `endsIn` ms, unless it is used. */
  | { readonly kind: 'draining'; readonly endsIn: number }
  /** A drain was undone, or the server refreshed the stream token. */
  | { readonly kind: 'held'; readonly endpoint: Endpoint }
  /** Its server died; another one is started for it. */
  | { readonly kind: 'moving' }
  /** It has another endpoint: open the stream again there. */
  | { readonly kind: 'moved'; readonly endpoint: Endpoint }
  /** It is gone. */
  | { readonly kind: 'lost'; readonly reason: LostReason }
  /** The app gave it back. */
  | { readonly kind: 'released' };

/** Why a lease was lost; `unrecognised` for a reason of a newer server. */
export type LostReason =
  | 'stopped'
  | 'instance_gone'
  | 'start_failed'
  | 'taken_over'
  | 'released'
  | 'unrecognised';

/** Where to stream. The stream token is a secret: keep it out of logs and addresses. */
export interface Endpoint {
  /** Signalling address, `wss://…/<app>/websocket`. */
  readonly websocketUrl: string;
  /** Base address for HTTP, `https://…/<app>`. */
  readonly httpUrl: string;
  /** The media server's application. */
  readonly app: string;
  /** The token to present to the media server; absent where none is enforced. */
  readonly streamToken?: string;
  /** How long it lived when the server sent it, in milliseconds. */
  readonly streamTokenExpiresIn?: number;
}

// ── Tokens ──────────────────────────────────────────────────────────────────────────────────────

/**
 * Why a token is wanted: the first one; the current one ends soon; or the server refused it, and a
 * cache must step aside.
 */
export type TokenReason = 'initial' | 'expiring' | 'rejected';

/** A token and how long it lives. */
export interface Token {
  readonly token: string;
  /**
   * Milliseconds from now. Without it the life is read from the token, where it is a JWT, until the
   * server has told it.
   */
  readonly expiresIn?: number | undefined;
}

/** What else a provider is told. */
export interface TokenRequest {
  /** Aborts once the answer is no longer waited for: pass it on to `fetch`. */
  readonly signal: Signal;
}

/**
 * Gives the client its tokens: by their text, or with how long they live.
 *
 * Asked once at a time and at most every 5 s. An answer may take 15 s, so a provider may show a
 * login; one that takes longer, throws, or returns something else is the error
 * `token_provider_failed` and is asked again, while a link with a live token stays. A
 * {@link TokenError} says more. What is thrown is shown to developers: keep secrets out of it.
 */
export type TokenProvider = (
  reason: TokenReason,
  request: TokenRequest,
) => string | Token | PromiseLike<string | Token>;

/** What a {@link TokenError} says beside its message. */
export interface TokenErrorOptions {
  /**
   * This user gets no token until the app has done something: the client stops trying, and becomes
   * `failed` if it was connecting, until {@link Client.retry}. A link that is up stays until its
   * token ends.
   */
  readonly refused?: boolean | undefined;
  /** Milliseconds before which asking again is useless. */
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
}

/** What a token provider throws to say more than that it failed. */
export declare class TokenError extends Error {
  constructor(message: string, options?: TokenErrorOptions);
  override readonly name: 'TokenError';
  readonly refused: boolean;
  readonly retryAfter: number | undefined;
}

/** One token, for development; nothing can renew it. */
export declare function fixedToken(token: string): TokenProvider;

/** The settings of {@link httpTokenProvider}. */
export interface HttpTokenOptions {
  /**
   * Headers of the request, such as `{ authorization: 'Bearer …' }`; a function is asked each time.
   */
  readonly headers?:
    | Readonly<Record<string, string>>
    | (() => Readonly<Record<string, string>> | PromiseLike<Readonly<Record<string, string>>>)
    | undefined;
  /** Which cookies travel, as in `fetch`; `'same-origin'` unless set. */
  readonly credentials?: 'omit' | 'same-origin' | 'include' | undefined;
}

/**
 * Asks the app's own backend: `POST` with `{"reason": "initial"}`, `"expiring"` or `"rejected"`,
 * answered by status 200 or 201 and `{"token": "…", "expires_in": 3600}`, in seconds.
 *
 * 401 and 403 refuse this user, 429 and 503 keep to `Retry-After`, a redirect is not followed, and
 * anything else, or no answer within 12 s, is asked again later.
 *
 * @param url - Absolute, or relative to the page.
 */
export declare function httpTokenProvider(url: Address, options?: HttpTokenOptions): TokenProvider;

// ── Fleets ──────────────────────────────────────────────────────────────────────────────────────

/** What a fleet does, at the moment of the answer. */
export interface FleetStatus {
  readonly fleet: string;
  /** Whether a server is ready: an acquire would be granted at once. */
  readonly ready: boolean;
  /** `ready`, or how far the start under way is; absent while nothing is under way. */
  readonly phase?: Phase;
  /** Median of the time until a server is ready, in milliseconds. */
  readonly etaP50: number;
  /** 90th percentile of that time, in milliseconds. */
  readonly etaP90: number;
  /** The phase takes longer than nine starts in ten. */
  readonly overdue: boolean;
  /** A remark, such as `restarting`. */
  readonly note?: string;
  /** Why nothing is started at present: what an acquire would end with. */
  readonly code?: ErrorCode;
  /** How long starts still pause, in milliseconds. */
  readonly retryAfter?: number;
  /** What an operator sees: only with the scope `admin`. */
  readonly operator?: OperatorStatus;
}

/** What an operator sees of a fleet. */
export interface OperatorStatus {
  /** The fleet's override. */
  readonly mode: 'auto' | 'on' | 'off' | 'hold';
  /** How long the override still holds, in milliseconds; absent when it holds for good. */
  readonly modeEndsIn?: number;
  /** Its instances, at most 32: those that live first. */
  readonly instances: readonly InstanceReport[];
  /** Leases that are held, of everybody. */
  readonly leases: number;
  /** Acquisitions and leases that wait for an instance, of everybody. */
  readonly waiters: number;
  /** What is spent of each cap. */
  readonly caps: readonly CapReport[];
  /** Why starts pause, if they do. */
  readonly pause?: PauseReport;
  /** What needs a person, at most 16, in the service's words. */
  readonly alarms: readonly string[];
}

/** One instance. */
export interface InstanceReport {
  /** EC2's id. */
  readonly id: string;
  /** Its state, in the service's words, such as `booting` or `ready`. */
  readonly state: string;
  /** How long its boot has been ready, in milliseconds; absent for one that is not. */
  readonly readyFor?: number;
  /** Streams that were published to it when it was read last. */
  readonly streams?: number;
  /** Viewers that it served when it was read last. */
  readonly viewers?: number;
  /** How long ago that was, in milliseconds. */
  readonly readAgo?: number;
}

/** One cap. */
export interface CapReport {
  /** Which, such as `starts` or `launches`. */
  readonly name: string;
  /** How much is spent. */
  readonly spent: number;
  /** How much may be. */
  readonly limit: number;
  /** In how long, in milliseconds. */
  readonly window: number;
}

/** Why starts pause. */
export interface PauseReport {
  /** What waiters are told. */
  readonly code: ErrorCode;
  /** What went wrong, in EC2's or the media server's words. */
  readonly cause: string;
  /** When it began, in milliseconds before the answer. */
  readonly beganAgo: number;
  /** When it is tried again, in milliseconds; zero where it is tried with the next demand. */
  readonly endsIn: number;
}

// ── Errors ──────────────────────────────────────────────────────────────────────────────────────

/** An error code that this version knows; the same in every language. */
export type KnownErrorCode =
  | 'network_unreachable'
  | 'websocket_blocked'
  | 'connect_timeout'
  | 'connection_lost'
  | 'throttled'
  | 'service_unavailable'
  | 'gateway_error'
  | 'token_provider_failed'
  | 'token_rejected'
  | 'token_expired'
  | 'forbidden'
  | 'client_too_old'
  | 'protocol_error'
  | 'message_too_large'
  | 'queue_full'
  | 'request_timeout'
  | 'cancelled'
  | 'closed'
  | 'capacity_unavailable'
  | 'start_failed'
  | 'start_timeout'
  | 'endpoint_unreachable'
  | 'lease_lost'
  | 'quota_exceeded'
  | 'misconfigured'
  | 'invalid_argument';

/** A type of its own, which no literal matches; no such object exists. */
declare enum CodeOfNewerServer {
  Text = 'a code of a newer server',
}

/** A code of a newer server: a text that is none of {@link KnownErrorCode}. */
export type UnknownErrorCode = CodeOfNewerServer;

/** A stable error code. Comparing it with a misspelt one does not compile. */
export type ErrorCode = KnownErrorCode | UnknownErrorCode;

/** What the person in front of the app can do. */
export type UserAction =
  | 'none'
  | 'wait'
  | 'retry'
  | 'check_network'
  | 'sign_in'
  | 'update_app'
  | 'contact_operator';

/** How far things had come when they failed. */
export type Stage =
  | 'local'
  | 'token'
  | 'connect'
  | 'link'
  | 'request'
  | 'boot'
  | 'verify'
  | 'lease';

/**
 * What is known about the request: it was never written, it may have been carried out, or it was
 * not.
 */
export type Outcome = 'not_sent' | 'unknown' | 'rejected';

/** What a {@link WakecastError} is made of; all but the code have defaults. */
export interface WakecastErrorParts {
  readonly code: ErrorCode;
  readonly message?: string | undefined;
  readonly retryable?: boolean | undefined;
  readonly retryAfter?: number | undefined;
  readonly outcome?: Outcome | undefined;
  readonly stage?: Stage | undefined;
  readonly userAction?: UserAction | undefined;
  readonly cause?: unknown;
}

/**
 * What failed, what that means for the request, and what can be done about it. Decide by
 * {@link WakecastError.code} and {@link WakecastError.userAction}, not by the message. It holds no
 * secret of the client.
 *
 * Tell it by {@link isWakecastError}, not by `instanceof`: an app may have loaded two copies of this
 * package.
 */
export declare class WakecastError extends Error {
  constructor(parts: WakecastErrorParts);
  override readonly name: 'WakecastError';
  readonly code: ErrorCode;
  /** Whether the same request can succeed later. */
  readonly retryable: boolean;
  /** Milliseconds before which trying again is useless, if that is known. */
  readonly retryAfter: number | undefined;
  readonly outcome: Outcome;
  readonly stage: Stage;
  readonly userAction: UserAction;
  /** The original cause: what was said below, as a text, or what was thrown. */
  override readonly cause?: unknown;
  /** All of it as plain data, for a log or `JSON.stringify`. */
  toJSON(): WakecastErrorJson;
}

/** A {@link WakecastError} as plain data. */
export interface WakecastErrorJson {
  readonly name: 'WakecastError';
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly retryAfter?: number | undefined;
  readonly outcome: Outcome;
  readonly stage: Stage;
  readonly userAction: UserAction;
  readonly cause?: string | undefined;
}

/** Whether something that was caught is an error of this package, of any copy of it. */
export declare function isWakecastError(value: unknown): value is WakecastError;

/** Every error code that this version knows. */
export declare const ERROR_CODES: readonly KnownErrorCode[];

/** What can be done about an error code, in plain words. */
export declare function remedyOf(code: ErrorCode): string;

// ── The module ──────────────────────────────────────────────────────────────────────────────────

/** What {@link configure} takes. */
export interface Configuration {
  /**
   * Where the WebAssembly module is (`wakecast/wakecast.wasm` of this package), its bytes, or the
   * module itself.
   */
  readonly wasm: WasmSource | PromiseLike<WasmSource>;
}

/** An address, an answer to `fetch`, the bytes, or a compiled `WebAssembly.Module`. */
export type WasmSource = Address | ArrayBuffer | ArrayBufferView | object;

/**
 * Says where the WebAssembly module is, for pages that keep it elsewhere or load it themselves. To
 * be called before the first client asks for anything.
 *
 * @throws {@link WakecastError} `invalid_argument` when the module is loaded already.
 */
export declare function configure(configuration: Configuration): void;

// Only what is marked so is exported.
export {};
