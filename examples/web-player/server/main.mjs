// Starts the local cloud and the page in front of it, until Ctrl-C.

import { parseArgs } from 'node:util';

import { startPlayer } from './player.mjs';

const { values } = parseArgs({
  options: {
    local: { type: 'string' },
    package: { type: 'string' },
    port: { type: 'string' },
  },
});

// A terminal sends Ctrl-C to the local cloud as well, which then ends by itself.
const interrupted = new Promise((resolve) => {
  process.once('SIGINT', resolve);
  process.once('SIGTERM', resolve);
});

try {
  const player = await startPlayer(values);
  console.log(`
  wakecast player

  open    ${player.url}
          then press "Go live", and "Watch" in a second tab
  stop    Ctrl-C

  Everything runs on this machine, and is reached from this machine only.
`);
  const why = await Promise.race([interrupted.then(() => 'stopped'), player.cloudEnded]);
  await player.stop();
  console.log(why);
  process.exitCode = why === 'stopped' ? 0 : 1;
} catch (error) {
  console.error(`web-player: ${error.message}`);
  process.exitCode = 1;
}
