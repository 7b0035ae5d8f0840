// Headless Chromium, with a fake camera and microphone.

import { chromium } from "playwright-core";

const OPTIONS = {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    // The tests run as root in a container, where Chromium's own sandbox does not work.
    "--no-sandbox",
    // Nothing that a browser does on its own: the tests reach loopback alone.
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
  ],
};

export const launch = () => chromium.launch(OPTIONS);

/** A browser of its own process, which can be killed. */
export async function launchToKill() {
  const server = await chromium.launchServer(OPTIONS);
  const browser = await chromium.connect(server.wsEndpoint());
  return { browser, kill: () => server.kill() };
}
