// esbuild copies no file that is named by `new URL(…, import.meta.url)`: the guide says to give it.

import { configure } from "wakecast";
import wasm from "wakecast/wakecast.wasm";

configure({ wasm });
await import("./app.js");
