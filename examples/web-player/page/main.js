// One page of an app that uses wakecast: the client, what the person wants of it, and what they see.

import { Client, httpTokenProvider } from '/wakecast/index.js';

import { describe } from './describe.js';
import { Player } from './player.js';
import { Story } from './story.js';
import { View } from './view.js';
import { linkOf } from './words.js';

/** Times tick in whole seconds; twice as often they never look stuck. */
const TICK_MS = 500;

const { websocketUrl, accessUrl, app, streamId } = await (await fetch('/config.json')).json();

const client = new Client(websocketUrl, { accessUrl, tokenProvider: httpTokenProvider('/token') });
const view = new View((action) => act[action]());
const player = new Player(client, { app, streamId }, view.screen);
const story = new Story(() => performance.now());

const act = {
  live: () => player.goLive(),
  watch: () => player.watch(),
  stop: () => player.stop(),
  again: () => player.again(),
  'sign-in': () => player.signIn(),
  reload: () => location.reload(),
  back: () => player.stop(),
  report: () => void copyReport(),
};

/** What an operator wants to see: it holds no token, no query and nobody's name. */
async function copyReport() {
  try {
    await navigator.clipboard.writeText(JSON.stringify(await client.diagnostics(), undefined, 2));
    view.say('The report is on your clipboard. There is no token in it.');
  } catch (error) {
    view.say(`The report could not be copied: ${error.message}`);
  }
}

function show() {
  const link = client.state;
  const shown = describe(player.state, link, performance.now());
  view.show(shown, player.state, { kind: link.kind, text: linkOf(link) });
}

let explaining;

async function explain() {
  // Without its module the client can say nothing else.
  const statements = await client.explain().catch((error) => [error.message]);
  view.showStatements(statements);
}

view.onExplain((open) => {
  clearInterval(explaining);
  if (!open) return;
  void explain();
  explaining = setInterval(() => void explain(), 1000);
});

story.subscribe(() => view.showLines(story.lines));
player.subscribe((what, detail) => {
  story.player(what, detail);
  if (what === 'wished' || what === 'stopped') view.say('');
  show();
});
client.subscribe(() => {
  story.link(client.state);
  show();
});
setInterval(show, TICK_MS);
show();

for await (const event of client.events()) {
  if (event.type === 'diagnostic') story.diagnostic(event.error);
}
