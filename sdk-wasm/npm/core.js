import { WakecastError, invalid } from './error.js';

let source;
let loading;

/**
 * Says where the WebAssembly module is, for bundlers that do not follow `new URL(…, import.meta.url)`
 * and for pages that load it themselves. To be called before the first client connects.
 */
export function configure({ wasm }) {
  if (loading) throw invalid('the module is loaded already: call configure() before anything connects');
  source = wasm;
}

/** Loads the module: once for the page, and again only after a failure. */
export function loadCore() {
  loading ??= load().catch((cause) => {
    loading = undefined;
    throw new WakecastError({
      code: 'misconfigured',
      userAction: 'contact_operator',
      retryable: true,
      message:
        'the WebAssembly module could not be loaded: serve wakecast_bg.wasm beside the script or name ' +
        "it with configure(), and allow 'wasm-unsafe-eval' in the page's Content-Security-Policy",
      cause,
    });
  });
  return loading;
}

async function load() {
  const core = await import('./wasm/wakecast.js');
  await core.default(source === undefined ? undefined : { module_or_path: await source });
  return core;
}
