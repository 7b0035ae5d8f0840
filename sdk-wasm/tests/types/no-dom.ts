// Without the types of a browser: a worker of another kind, or code that is shared with a server.

import { Client, isWakecastError } from 'wakecast';
import type { SignalLike } from 'wakecast';

const client = new Client('wss://gateway.example.com/prod', {
  tokenProvider: (_, { signal }) => (signal.aborted ? '' : 'text'),
});
const signal: SignalLike = { aborted: false, addEventListener() {}, removeEventListener() {} };
await using lease = await client.acquire({ app: 'live', streamId: 'match-1', signal });
void lease;
const failed: unknown = undefined;
if (isWakecastError(failed)) failed.toJSON();
