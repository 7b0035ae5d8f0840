import { WakecastError, invalid } from './error.js';
import init, { Driver } from './wasm/wakecast.js';

/** Where the module is, if the app has said so. */
let told;
let loading;

/**
 * Says where the WebAssembly module is, for pages that keep it elsewhere or load it themselves. To
 * be called before the first client asks for anything.
 */
export function configure({ wasm }) {
  if (loading) throw invalid('the module is loaded already: call configure() before any client is used');
  told = wasm;
}

/** Loads the module: once for the page, and again only after a failure. Returns the driver's class. */
export function loadDriver() {
  loading ??= load().catch((error) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function load() {
  const source = await found();
  try {
    await init({ module_or_path: source });
  } catch (cause) {
    throw new WakecastError({
      code: 'misconfigured',
      userAction: 'contact_operator',
      message:
        "the WebAssembly module could not be loaded: allow 'wasm-unsafe-eval' in script-src of the " +
        "page's Content-Security-Policy, and serve wakecast_bg.wasm of this very version",
      cause,
    });
  }
  return Driver;
}

/** The module's bytes on their way, or whatever the app has instead. */
async function found() {
  try {
    const source = (await told) ?? new URL('./wasm/wakecast_bg.wasm', import.meta.url);
    if (typeof source !== 'string' && !(source instanceof URL)) return source;
    const response = await fetch(source);
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return response;
  } catch (cause) {
    throw new WakecastError({
      code: 'network_unreachable',
      retryable: true,
      userAction: 'check_network',
      message:
        'the WebAssembly module could not be fetched: check the network; serve wakecast_bg.wasm in ' +
        'the folder wasm beside the script, or name it with configure(); and allow its address in ' +
        "connect-src of the page's Content-Security-Policy",
      cause,
    });
  }
}
