// `wakecast-local` as a child: where it listens, and tokens of its mint.

import { spawn } from 'node:child_process';

/** Starts it, and waits until it serves. */
export async function startCloud(program) {
  const child = spawn(program, ['--profile=demonstration'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NO_COLOR: '1' },
  });
  const exited = new Promise((resolve) => {
    child.once('error', (error) =>
      resolve(`${program}: ${error.message}; build it with \`cargo build -p wakecast-local\``),
    );
    child.once('exit', (code, signal) => resolve(`wakecast-local ended with ${signal ?? `code ${code}`}`));
  });
  const greeting = await untilGreeted(child, exited);
  const address = (name) => new RegExp(`^ *${name} +(\\S+)$`, 'm').exec(greeting)[1];
  const adminUrl = address('admin');
  return {
    websocketUrl: address('websocket'),
    accessUrl: address('access'),
    adminUrl,
    ended: exited,
    /** A token and its life in seconds, as an app's backend answers. */
    async mint(subject) {
      const answer = await fetch(`${adminUrl}/token`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ subject }),
      });
      const { token, expires_in_ms: life } = await answer.json();
      return { token, expires_in: life / 1000 };
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGINT');
      await exited;
      return child.exitCode;
    },
  };
}

/** The addresses stand before the line that says how to break it. */
async function untilGreeted(child, exited) {
  let printed = '';
  child.stdout.setEncoding('utf8');
  const greeted = new Promise((resolve) => {
    child.stdout.on('data', (piece) => {
      printed += piece;
      if (/^ *break /m.test(printed)) resolve();
    });
  });
  const why = await Promise.race([greeted, exited]);
  if (why !== undefined) throw new Error(why);
  return printed;
}
