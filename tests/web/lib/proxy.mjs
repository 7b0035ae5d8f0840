// A network between a page and a server that can swallow what is sent, and tell nobody.

import { once } from "node:events";
import { connect, createServer } from "node:net";

export async function startProxy(port) {
  const pairs = new Set();
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    const pair = [near, far];
    pairs.add(pair);
    near.pipe(far).pipe(near);
    for (const socket of pair) {
      socket.on("error", () => {});
      socket.on("close", () => {
        for (const other of pair) other.destroy();
        pairs.delete(pair);
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: server.address().port,
    /** Swallows both ways on the connections there are; new ones go through. Returns how to end it. */
    swallow() {
      const swallowed = [...pairs];
      for (const [near, far] of swallowed) {
        near.unpipe(far).pause();
        far.unpipe(near).pause();
      }
      return () => {
        for (const [near, far] of swallowed) near.pipe(far).pipe(near);
      };
    },
    stop() {
      for (const pair of pairs) for (const socket of pair) socket.destroy();
      server.close();
    },
  };
}
