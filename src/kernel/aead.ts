/**
 * AES-256-GCM by the OpenSSL that is inside the runtime itself, called directly. Node's own cipher objects are streams:
 * one for each datagram costs some 5 us in a hot loop, and ten times that in a process that has just been asleep, which
 * at 500 datagrams a second is most of what a state costs. The bytes are the same (test/unit/kernel-aead.test.ts).
 *
 * Keys stay with the caller: the two contexts are keyed anew for each datagram, so nothing has to be freed.
 */
import type { Aead, AeadMaker } from '../sync/seal.ts';
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

class NativeAead implements Aead {
  private readonly evp: Evp;
  private readonly key: Buffer;
  private readonly sealed: Buffer;
  private readonly opened: Buffer;
  private readonly length = Buffer.alloc(4);

  constructor(evp: Evp, key: Buffer, sealed: Buffer, opened: Buffer) {
    if (key.length !== KEY_SIZE) throw new Error(`a key of the sync link has ${KEY_SIZE} bytes, not ${key.length}`);
    this.evp = evp;
    this.key = key;
    this.sealed = sealed;
    this.opened = opened;
  }

  /** The result is good until the next datagram is sealed. */
  seal(clear: Buffer, plain: Uint8Array): Buffer {
    const { evp, sealed, length } = this;
    const end = clear.length + plain.length;
    if (end + TAG_SIZE > LARGEST) throw new RangeError(`${plain.length} bytes do not fit into a datagram`);
    sealed.set(clear, 0);
    const ok =
      evp.encryptInit(evp.seal, null, null, this.key, clear.subarray(4, 4 + NONCE_SIZE)) &
      evp.encryptUpdate(evp.seal, null, length, clear, clear.length) &
      evp.encryptUpdate(evp.seal, sealed.subarray(clear.length, end), length, plain, plain.length) &
      evp.encryptFinal(evp.seal, sealed.subarray(end, end + TAG_SIZE), length) &
      evp.control(evp.seal, GET_TAG, TAG_SIZE, sealed.subarray(end, end + TAG_SIZE));
    // Half a datagram must never leave: the clear text could stand in it.
    if (ok !== 1) throw new Error('AES-256-GCM failed');
    return sealed.subarray(0, end + TAG_SIZE);
  }

  /** The result is good until the next datagram is opened. */
  open(datagram: Buffer, clearLength: number): Buffer | null {
    const end = datagram.length - TAG_SIZE;
    if (end < clearLength || datagram.length > LARGEST) return null;
    const { evp, opened, length } = this;
    const plain = opened.subarray(0, end - clearLength);
    const ok =
      evp.decryptInit(evp.open, null, null, this.key, datagram.subarray(4, 4 + NONCE_SIZE)) &
      evp.decryptUpdate(evp.open, null, length, datagram, clearLength) &
      evp.decryptUpdate(evp.open, opened, length, datagram.subarray(clearLength, end), plain.length) &
      evp.control(evp.open, SET_TAG, TAG_SIZE, datagram.subarray(end)) &
      evp.decryptFinal(evp.open, opened.subarray(plain.length), length);
    return ok === 1 ? plain : null;
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
  const sealed = Buffer.alloc(LARGEST);
  const opened = Buffer.alloc(LARGEST + TAG_SIZE);
  return (key) => new NativeAead(evp, key, sealed, opened);
}
