import { request } from 'node:https';
import { connect } from 'node:tls';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { fakeFeed, reader, upgradeStatus } from './fake-node.ts';

/** Made for this test and used nowhere else. */
const CERT = `-----BEGIN CERTIFICATE-----
MIIBaDCCAQ2gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDoDi/Sd46REgdah
QDSFwn3f3EUwTU+8LkpC7oSDAl8U/HCFVRDOusnLU5p6jAOK4X3z8lMLjLLDl/M9
b8vh/RijTjBMMA8GA1UdEwEB/wQFMAMBAf8wGgYDVR0RBBMwEYIJbG9jYWxob3N0
hwR/AAABMB0GA1UdDgQWBBR1yJUvhrJnx0z2ym9mf3HyodPjVTAKBggqhkjOPQQD
AgNJADBGAiEA5L4GZNthOjGHIbG31Cxn/Fi/S7KgNDrLYW74GPiGg6oCIQCymkxJ
wzBNvIwVPpioO7Fh7evKAKahbPK1J7YUDctztg==
-----END CERTIFICATE-----`;
const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgOImj3or8RhHV9a4R
ubcDkuKjm2BekqJ1sJVdcRdFT8ShRANCAAQ6A4v0neOkRIHWoUA0hcJ939xFME1P
vC5KQu6EgwJfFPxwhVUQzrrJy1OaeowDiuF98/JTC4yyw5fzPW/L4f0Y
-----END PRIVATE KEY-----`;
const TOKEN = 'a-token-that-is-long-enough';

const tls = suite('feed: over TLS');

function status(host: string, path: string): Promise<number> {
  const [hostname, port] = host.split(':');
  return new Promise((resolve, reject) => {
    const asked = request({ hostname, port, path, ca: CERT, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asked.on('error', reject);
    asked.end();
  });
}

tls('the same door, the same feed', async () => {
  const { feed } = await fakeFeed({ listen: ['0.0.0.0:0'], tls: { cert: CERT, key: KEY }, token: () => TOKEN });
  const host = feed.addresses[0]!.replace('0.0.0.0', '127.0.0.1');
  assert.is(await status(host, '/status'), 401);
  assert.is(await status(host, `/status?token=${TOKEN}`), 200);
  assert.is(await upgradeStatus(`wss://${host}/feed`, { ca: CERT }), 401);
  const r = reader(`wss://${host}/feed?token=${TOKEN}`, { ca: CERT, origin: `https://${host}` });
  assert.is((await r.next()).type, 'snapshot');
  feed.publish({ kind: 'k' });
  assert.is((await r.nextOf('event')).kind, 'k');
  await feed.close();
  assert.is(await r.closed, 1001);
});

tls('plain HTTP and old TLS get nothing, and the feed goes on', async () => {
  const { feed } = await fakeFeed({ tls: { cert: CERT, key: KEY } });
  const [host, port] = feed.addresses[0]!.split(':');
  const plain = await fetch(`http://${host}:${port}/status`).then(
    (response) => response.status,
    () => 0,
  );
  assert.not.equal(plain, 200);
  const old = connect({ host, port: Number(port), ca: CERT, maxVersion: 'TLSv1.1', minVersion: 'TLSv1' });
  const refused = await new Promise((resolve) => {
    old.on('secureConnect', () => resolve(false));
    old.on('error', () => resolve(true));
  });
  assert.ok(refused);
  old.destroy();
  assert.is(await status(feed.addresses[0]!, '/status'), 200);
  await feed.close();
});

tls.run();
