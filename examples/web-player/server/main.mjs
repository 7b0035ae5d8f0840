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

// A terminal sends Ctrl-C to the local cloud as well, whose end may be heard of first.
let interrupted = false;
const interruption = new Promise((resolve) => {
  const interrupt = () => {
    interrupted = true;
    resolve();
  };
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
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
  const why = await Promise.race([interruption, player.cloudEnded]);
  await player.stop();
  if (!interrupted) throw new Error(why);
  console.log('stopped');
} catch (error) {
  console.error(`web-player: ${error.message}`);
  process.exitCode = 1;
}
