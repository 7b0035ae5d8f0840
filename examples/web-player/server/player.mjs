// The page and the cloud behind it, as the command and the tests start them.

import { fileURLToPath } from 'node:url';

import { startCloud } from './cloud.mjs';
import { startSite } from './site.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** A stream that any two tabs share. */
const STREAM = 'stage';
const APP = 'live';

/**
 * Starts both. `local` is the program `wakecast-local`, `package` the folder of the npm package, as
 * `cargo xtask npm` builds it; without them they are looked for in `target`.
 */
export async function startPlayer({ local, package: folder, port } = {}) {
  const cloud = await startCloud(local ?? here('../../../target/debug/wakecast-local'));
  const site = await startSite({
    port,
    folders: {
      '/wakecast/': folder ?? here('../../../target/npm/wakecast'),
      '/webrtc_adaptor/': here('../node_modules/@antmedia/webrtc_adaptor/dist/es'),
      '/': here('../page'),
    },
    config: {
      websocketUrl: cloud.websocketUrl,
      accessUrl: cloud.accessUrl,
      app: APP,
      streamId: STREAM,
    },
    mint: () => cloud.mint('you'),
  }).catch(async (error) => {
    await cloud.stop();
    throw error;
  });
  return {
    url: site.url,
    websocketUrl: cloud.websocketUrl,
    adminUrl: cloud.adminUrl,
    cloudEnded: cloud.ended,
    async stop() {
      await site.stop();
      return cloud.stop();
    },
  };
}
