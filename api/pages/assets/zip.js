// A folder as a zip: files lie in it as they are, since images do not get smaller. The archive is put together out of the
// files themselves, which the browser reads as it sends them: memory holds a file at a time, whatever the folder's size.

const TABLE = new Uint32Array(256);
for (let n = 0; n < 256; n += 1) {
  let value = n;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  TABLE[n] = value >>> 0;
}

// Beyond these the fields of the first format are too narrow.
const MOST_FILES = 0xffff;
const MOST_BYTES = 0xffffffff;
// 1980-01-01: the same folder is the same archive, whenever it is packed.
const DATE = 0x21;
// Names are UTF-8.
const FLAGS = 0x0800;

/**
 * @param {[string, File][]} files - paths and contents.
 * @param {(done: number, total: number) => void} told - hears how many files were read.
 * @returns {Promise<Blob>}
 */
export async function zipOf(files, told) {
  const parts = [];
  const directory = [];
  let offset = 0;
  const sorted = [...files].sort(([one], [other]) => (one < other ? -1 : 1));
  for (const [place, [path, file]] of sorted.entries()) {
    const name = new TextEncoder().encode(path);
    const entry = { name, size: file.size, crc: await checksum(file), offset };
    const head = local(entry);
    parts.push(head, file);
    directory.push(central(entry));
    offset += head.length + file.size;
    if (place % 16 === 15 || place === sorted.length - 1) told(place + 1, sorted.length);
  }
  const size = directory.reduce((sum, one) => sum + one.length, 0);
  return new Blob([...parts, ...directory, end(sorted.length, size, offset)], { type: "application/zip" });
}

async function checksum(file) {
  let value = 0xffffffff;
  const reader = file.stream().getReader();
  for (;;) {
    const { done, value: piece } = await reader.read();
    if (done) return (value ^ 0xffffffff) >>> 0;
    for (const byte of piece) value = TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  }
}

/** Writes numbers one after the other, little end first. */
class Bytes {
  #bytes = [];
  put(value, width) {
    for (let n = 0; n < width; n += 1) {
      this.#bytes.push(Number(BigInt.asUintN(8, BigInt(value) >> BigInt(8 * n))));
    }
    return this;
  }
  all(...tails) {
    const length = this.#bytes.length + tails.reduce((sum, tail) => sum + tail.length, 0);
    const whole = new Uint8Array(length);
    whole.set(this.#bytes);
    let at = this.#bytes.length;
    for (const tail of tails) {
      whole.set(tail, at);
      at += tail.length;
    }
    return whole;
  }
}

function local({ name, size, crc }) {
  const large = size >= MOST_BYTES ? new Bytes().put(1, 2).put(16, 2).put(size, 8).put(size, 8).all() : new Uint8Array();
  const shown = large.length ? MOST_BYTES : size;
  return new Bytes()
    .put(0x04034b50, 4).put(large.length ? 45 : 20, 2).put(FLAGS, 2).put(0, 2).put(0, 2).put(DATE, 2)
    .put(crc, 4).put(shown, 4).put(shown, 4).put(name.length, 2).put(large.length, 2)
    .all(name, large);
}

function central({ name, size, crc, offset }) {
  const is64 = size >= MOST_BYTES || offset >= MOST_BYTES;
  const large = is64 ? new Bytes().put(1, 2).put(24, 2).put(size, 8).put(size, 8).put(offset, 8).all() : new Uint8Array();
  return new Bytes()
    .put(0x02014b50, 4).put(is64 ? 45 : 20, 2).put(is64 ? 45 : 20, 2).put(FLAGS, 2).put(0, 2).put(0, 2).put(DATE, 2)
    .put(crc, 4).put(is64 ? MOST_BYTES : size, 4).put(is64 ? MOST_BYTES : size, 4).put(name.length, 2)
    .put(large.length, 2).put(0, 2).put(0, 2).put(0, 2).put(0, 4).put(is64 ? MOST_BYTES : offset, 4)
    .all(name, large);
}

function end(count, size, offset) {
  const is64 = count >= MOST_FILES || offset >= MOST_BYTES || size >= MOST_BYTES;
  const wide = is64
    ? new Bytes()
        .put(0x06064b50, 4).put(44, 8).put(45, 2).put(45, 2).put(0, 4).put(0, 4).put(count, 8).put(count, 8)
        .put(size, 8).put(offset, 8)
        .put(0x07064b50, 4).put(0, 4).put(offset + size, 8).put(1, 4)
        .all()
    : new Uint8Array();
  const tail = new Bytes()
    .put(0x06054b50, 4).put(0, 2).put(0, 2).put(is64 ? MOST_FILES : count, 2).put(is64 ? MOST_FILES : count, 2)
    .put(is64 ? MOST_BYTES : size, 4).put(is64 ? MOST_BYTES : offset, 4).put(0, 2)
    .all();
  return new Bytes().all(wide, tail);
}
