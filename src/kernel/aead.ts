/**
 * AES-256-GCM by the OpenSSL that is inside the runtime itself, called directly. Node's own cipher objects are streams:
 * one for each datagram costs some 5 us in a hot loop, and ten times that in a process that has just been asleep, which
 * at 500 datagrams a second is most of what a state costs. The bytes are the same (test/unit/kernel/aead.test.ts).
 *
 * Keys stay with the caller: there are two contexts for all of them, keyed anew when another key's turn comes, so
 * nothing has to be freed. All bytes that OpenSSL sees lie in fixed places: a view made for each call costs more than
 * the call.
 */
import type { Aead, AeadMaker } from '../contract/aead.ts';
import type { Koffi } from './natives.ts';
import { loadKoffi } from './natives.ts';

const KEY_SIZE = 32;
const NONCE_SIZE = 12;
const TAG_SIZE = 16;
/** Nothing on the sync link is longer than an IP packet. */
const LARGEST = 65_536;
/** EVP_CTRL_AEAD_GET_TAG, EVP_CTRL_AEAD_SET_TAG (openssl/evp.h). */
const GET_TAG = 0x10;
const SET_TAG = 0x11;

type Bytes = Uint8Array | null;

interface Evp {
  seal: unknown;
  open: unknown;
  encryptInit(context: unknown, cipher: unknown, engine: null, key: Bytes, nonce: Bytes): number;
  encryptUpdate(context: unknown, out: Bytes, length: Uint8Array, bytes: Uint8Array, count: number): number;
  encryptFinal(context: unknown, out: Uint8Array, length: Uint8Array): number;
  decryptInit(context: unknown, cipher: unknown, engine: null, key: Bytes, nonce: Bytes): number;
  decryptUpdate(context: unknown, out: Bytes, length: Uint8Array, bytes: Uint8Array, count: number): number;
  decryptFinal(context: unknown, out: Uint8Array, length: Uint8Array): number;
  control(context: unknown, type: number, size: number, bytes: Uint8Array): number;
}

function declare(koffi: Koffi): Evp {
  const own = koffi.load(null);
  const fresh = own.func('void *EVP_CIPHER_CTX_new()') as () => unknown;
  const init = 'void *, void *, void *, void *, void *';
  const update = 'void *, void *, void *, void *, int';
  const evp: Evp = {
    seal: fresh(),
    open: fresh(),
    encryptInit: own.func(`int EVP_EncryptInit_ex(${init})`) as Evp['encryptInit'],
    encryptUpdate: own.func(`int EVP_EncryptUpdate(${update})`) as Evp['encryptUpdate'],
    encryptFinal: own.func('int EVP_EncryptFinal_ex(void *, void *, void *)') as Evp['encryptFinal'],
    decryptInit: own.func(`int EVP_DecryptInit_ex(${init})`) as Evp['decryptInit'],
    decryptUpdate: own.func(`int EVP_DecryptUpdate(${update})`) as Evp['decryptUpdate'],
    decryptFinal: own.func('int EVP_DecryptFinal_ex(void *, void *, void *)') as Evp['decryptFinal'],
    control: own.func('int EVP_CIPHER_CTX_ctrl(void *, int, int, void *)') as Evp['control'],
  };
  const cipher = (own.func('void *EVP_aes_256_gcm()') as () => unknown)();
  if (evp.encryptInit(evp.seal, cipher, null, null, null) !== 1) throw new Error('no AES-256-GCM');
  if (evp.decryptInit(evp.open, cipher, null, null, null) !== 1) throw new Error('no AES-256-GCM');
  return evp;
}

/** One direction: a context, the places its bytes lie in, and whose key it has. */
class Place {
  keyedFor: NativeAead | null = null;
  readonly bytes = Buffer.alloc(LARGEST + TAG_SIZE);
  readonly nonce = Buffer.alloc(NONCE_SIZE);
  readonly tag = Buffer.alloc(TAG_SIZE);
  readonly length = Buffer.alloc(4);
}

class NativeAead implements Aead {
  private readonly evp: Evp;
  private readonly key: Buffer;
  private readonly sealing: Place;
  private readonly opening: Place;

  constructor(evp: Evp, key: Buffer, sealing: Place, opening: Place) {
    if (key.length !== KEY_SIZE) throw new Error(`a key of the sync link has ${KEY_SIZE} bytes, not ${key.length}`);
    this.evp = evp;
    this.key = key;
    this.sealing = sealing;
    this.opening = opening;
  }

  /** The result is good until the next datagram is sealed. */
  seal(clear: Buffer, plain: Uint8Array): Buffer {
    const { evp, sealing } = this;
    const { bytes, nonce, tag, length } = sealing;
    const end = clear.length + plain.length;
    if (end + TAG_SIZE > LARGEST) throw new RangeError(`${plain.length} bytes do not fit into a datagram`);
    clear.copy(nonce, 0, 4, 4 + NONCE_SIZE);
    const out = bytes.subarray(clear.length, end);
    const ok =
      evp.encryptInit(evp.seal, null, null, this.keyFor(sealing), nonce) &
      evp.encryptUpdate(evp.seal, null, length, clear, clear.length) &
      evp.encryptUpdate(evp.seal, out, length, plain, plain.length) &
      // GCM has nothing left to write at the end.
      evp.encryptFinal(evp.seal, tag, length) &
      evp.control(evp.seal, GET_TAG, TAG_SIZE, tag);
    // Half a datagram must never leave: the clear text could stand in it.
    if (ok !== 1) throw this.failed(sealing);
    bytes.set(clear, 0);
    bytes.set(tag, end);
    return bytes.subarray(0, end + TAG_SIZE);
  }

  /** The result is good until the next datagram is opened. */
  open(datagram: Buffer, clearLength: number): Buffer | null {
    const end = datagram.length - TAG_SIZE;
    if (end < clearLength || datagram.length > LARGEST) return null;
    const { evp, opening } = this;
    const { bytes, nonce, tag, length } = opening;
    datagram.copy(nonce, 0, 4, 4 + NONCE_SIZE);
    datagram.copy(tag, 0, end);
    const ok =
      evp.decryptInit(evp.open, null, null, this.keyFor(opening), nonce) &
      evp.decryptUpdate(evp.open, null, length, datagram, clearLength) &
      evp.decryptUpdate(evp.open, bytes, length, datagram.subarray(clearLength, end), end - clearLength) &
      evp.control(evp.open, SET_TAG, TAG_SIZE, tag) &
      evp.decryptFinal(evp.open, tag, length);
    return ok === 1 ? bytes.subarray(0, end - clearLength) : null;
  }

  // Without a key the context keeps the one it has: its schedule is not made again for each datagram.
  private keyFor(place: Place): Buffer | null {
    if (place.keyedFor === this) return null;
    place.keyedFor = this;
    return this.key;
  }

  private failed(place: Place): Error {
    place.keyedFor = null;
    return new Error('AES-256-GCM failed');
  }
}

/** `null` when the runtime does not export OpenSSL's functions: then Node's own objects do the same, for more. */
export function nativeAead(): AeadMaker | null {
  let evp: Evp;
  try {
    evp = declare(loadKoffi());
  } catch {
    return null;
  }
  const [sealing, opening] = [new Place(), new Place()];
  return (key) => new NativeAead(evp, key, sealing, opening);
}
