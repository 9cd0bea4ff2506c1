/*
 * The state table of asm/ in C, for scripts/bench/engine.ts: the same records, index, hashes and digests, so that the
 * difference between the two is the cost of WebAssembly and of its compiler. IPv4, no queues, no side table.
 *
 * Usage: table STATES...; prints one line for each: states, ns an operation for insert, find, update, delete, bytes a state.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

enum { RECORD = 144, PAGE = 65536, PER_PAGE = 455, SEGMENT_BITS = 14, SEGMENT = 1 << SEGMENT_BITS, CHUNK = 2000, GROUP = 16 };
/* Offsets in a record: asm/record.ts. */
enum {
  HNEXT = 0, IHASH = 4, KEYWORD = 8, PROTO = 10, FAMILY = 11, OSRC = 16, ODST = 32, RSRC = 48, RDST = 64, RPORTS = 80,
  MARK = 84, STATUS = 88, L4STATE = 90, TAG = 93, FLAGS = 94, FP_LO = 96, FP_HI = 104, TIMEOUT = 132, AGE = 136,
};
enum { F_USED = 1, F_TOMB = 2, F_KEYGEN = 4, F_INK = 8, F_DIRTY = 16, F_KQ = 32 };

static u8 *m;
static u32 heap_top, pages, slots_used, free_head, allocated, buckets, low_mask, live, now_ms;
static u32 page_dir[49152], segment_dir[4096];
static u64 counters[64], key_index[2], key_print[2];
struct sum { u64 lo, hi; u32 live, tombs, missing, owner; };
struct bucket { u64 lo, hi, count; };
static struct sum tags[8];
static struct bucket bucket_sums[8 * 256];

#define AT(type, r, offset) (*(type *)(m + (r) + (offset)))
#define ROTL(x, b) ((x) << (b) | (x) >> (64 - (b)))
#define ROUND(v0, v1, v2, v3) do { \
  v0 += v1; v2 += v3; v1 = ROTL(v1, 13) ^ v0; v3 = ROTL(v3, 16) ^ v2; v0 = ROTL(v0, 32) + v3; v2 += v1; \
  v3 = ROTL(v3, 21) ^ v0; v1 = ROTL(v1, 17) ^ v2; v2 = ROTL(v2, 32); } while (0)

static u64 sip13(u64 *p, u32 n, const u64 *key, u64 *out) {
  p[n] = (u64)(n << 3) << 56;
  u64 v0 = key[0] ^ 0x736f6d6570736575, v1 = key[1] ^ 0x646f72616e646f6d ^ (out ? 0xee : 0);
  u64 v2 = key[0] ^ 0x6c7967656e657261, v3 = key[1] ^ 0x7465646279746573;
  for (u32 i = 0; i <= n; i++) {
    v3 ^= p[i];
    ROUND(v0, v1, v2, v3);
    v0 ^= p[i];
  }
  v2 ^= out ? 0xee : 0xff;
  for (int i = 0; i < 3; i++) ROUND(v0, v1, v2, v3);
  u64 low = v0 ^ v1 ^ v2 ^ v3;
  if (!out) return low;
  v1 ^= 0xdd;
  for (int i = 0; i < 3; i++) ROUND(v0, v1, v2, v3);
  out[0] = low;
  out[1] = v0 ^ v1 ^ v2 ^ v3;
  return low;
}

static u32 index_hash(u32 r) {
  u64 words[4];
  words[0] = AT(u64, r, KEYWORD);
  words[1] = AT(u32, r, OSRC) | (u64)AT(u32, r, ODST) << 32;
  return (u32)sip13(words, 2, key_index, 0);
}

static u32 coarse(u32 proto, u32 state) {
  return proto != 6 || state > 9 ? 0 : (u32)(0x1443332110ull >> (state << 2)) & 7;
}

static void fingerprint(u32 r) {
  u64 words[8];
  words[0] = AT(u64, r, KEYWORD);
  words[1] = AT(u32, r, OSRC) | (u64)AT(u32, r, ODST) << 32;
  words[2] = AT(u32, r, RSRC) | (u64)AT(u32, r, RDST) << 32;
  words[3] = AT(u64, r, RPORTS);
  words[4] = coarse(AT(u8, r, PROTO), AT(u8, r, L4STATE)) | (u64)(AT(u16, r, STATUS) & 6) << 8;
  sip13(words, 5, key_print, &AT(u64, r, FP_LO));
}

static void digest(u32 r, int sign) {
  u64 lo = AT(u64, r, FP_LO), hi = AT(u64, r, FP_HI);
  u32 tag = AT(u8, r, TAG);
  struct sum *t = &tags[tag];
  struct bucket *b = &bucket_sums[tag << 8 | (lo & 0xff)];
  if (sign > 0) {
    t->lo += lo; t->hi += hi + (t->lo < lo); t->live++;
    b->lo += lo; b->hi += hi + (b->lo < lo); b->count++;
  } else {
    u64 old = t->lo; t->lo -= lo; t->hi -= hi + (old < lo); t->live--;
    old = b->lo; b->lo -= lo; b->hi -= hi + (old < lo); b->count--;
  }
}

static u32 alloc_page(void) { u32 page = heap_top; heap_top += PAGE; return page; }

static u32 head_of(u32 hash) {
  u32 b = hash & (low_mask << 1 | 1);
  if (b >= buckets) b = hash & low_mask;
  return segment_dir[b >> SEGMENT_BITS] + ((b & (SEGMENT - 1)) << 2);
}

static u32 find_hashed(u32 s) {
  u32 hash = AT(u32, s, IHASH);
  for (u32 r = AT(u32, head_of(hash), 0); r; r = AT(u32, r, HNEXT)) {
    if (AT(u32, r, IHASH) == hash && AT(u64, r, KEYWORD) == AT(u64, s, KEYWORD) && !memcmp(m + r + OSRC, m + s + OSRC, 32))
      return r;
  }
  return 0;
}

static volatile u32 seen;

/* As lookAhead() in asm/ahead.ts. */
static void look_ahead(u32 s, u32 n) {
  u32 first[GROUP], sum = 0, fresh = 0;
  for (u32 i = 0; i < n; i++) AT(u32, s + i * RECORD, IHASH) = index_hash(s + i * RECORD);
  for (u32 i = 0; i < n; i++) first[i] = AT(u32, head_of(AT(u32, s + i * RECORD, IHASH)), 0);
  for (u32 i = 0; i < n; i++) sum ^= AT(u32, first[i], IHASH);
  for (u32 i = 0; i < n; i++) {
    u32 r = first[i], next = AT(u32, r, HNEXT), other = AT(u32, r, IHASH) != AT(u32, s + i * RECORD, IHASH);
    first[i] = r = (next & -other) | (r & (other - 1));
    sum ^= AT(u32, r, 0) ^ AT(u32, r, 64) ^ AT(u32, r, 128);
  }
  for (u32 i = 0; i < n; i++) fresh += AT(u32, first[i], IHASH) != AT(u32, s + i * RECORD, IHASH);
  for (u32 i = 0; i < fresh; i++) {
    u32 old = (buckets + i) & low_mask;
    sum ^= AT(u32, AT(u32, segment_dir[old >> SEGMENT_BITS] + ((old & (SEGMENT - 1)) << 2), 0), 0);
  }
  seen = sum;
}

static void split(void) {
  if (allocated <= buckets) return;
  u32 segment = buckets >> SEGMENT_BITS;
  if ((buckets & (SEGMENT - 1)) == 0) segment_dir[segment] = alloc_page();
  u32 fresh = buckets, mask = low_mask << 1 | 1, old = fresh & low_mask;
  u32 fresh_head = segment_dir[segment] + ((fresh & (SEGMENT - 1)) << 2);
  u32 link = segment_dir[old >> SEGMENT_BITS] + ((old & (SEGMENT - 1)) << 2), moved = 0;
  for (u32 r = AT(u32, link, 0), next; r; r = next) {
    next = AT(u32, r, HNEXT);
    if ((AT(u32, r, IHASH) & mask) == fresh) {
      AT(u32, link, 0) = next;
      AT(u32, r, HNEXT) = moved;
      moved = r;
    } else link = r + HNEXT;
  }
  AT(u32, fresh_head, 0) = moved;
  if (++buckets > mask) low_mask = mask;
}

static u32 alloc_record(void) {
  u32 r = free_head;
  if (r) { free_head = AT(u32, r, HNEXT); return r; }
  if (slots_used == PER_PAGE) { page_dir[pages++] = alloc_page(); slots_used = 0; }
  return page_dir[pages - 1] + slots_used++ * RECORD;
}

static void insert(u32 s) {
  u32 r = alloc_record();
  memcpy(m + r, m + s, RECORD);
  allocated++;
  split();
  u32 head = head_of(AT(u32, r, IHASH));
  AT(u32, r, HNEXT) = AT(u32, head, 0);
  AT(u32, head, 0) = r;
  AT(u16, r, FLAGS) = F_USED | F_INK;
  AT(u8, r, TAG) = 1;
  counters[15]++;
  live++;
  fingerprint(r);
  digest(r, 1);
  AT(u32, r, AGE) = now_ms;
}

static int update(u32 r, u32 s) {
  u64 lo = AT(u64, r, FP_LO), hi = AT(u64, r, FP_HI);
  digest(r, -1);
  memcpy(m + r + RSRC, m + s + RSRC, 32);
  AT(u64, r, RPORTS) = AT(u64, s, RPORTS);
  AT(u32, r, STATUS) = AT(u32, s, STATUS);
  AT(u8, r, STATUS + 4) = AT(u8, s, STATUS + 4);
  AT(u32, r, TIMEOUT) = AT(u32, s, TIMEOUT);
  fingerprint(r);
  digest(r, 1);
  AT(u32, r, AGE) = now_ms;
  return lo != AT(u64, r, FP_LO) || hi != AT(u64, r, FP_HI);
}

static void drop(u32 r) {
  counters[16]++;
  digest(r, -1);
  live--;
  u32 link = head_of(AT(u32, r, IHASH)), at = AT(u32, link, 0);
  while (at && at != r) { link = at + HNEXT; at = AT(u32, link, 0); }
  if (at) AT(u32, link, 0) = AT(u32, r, HNEXT);
  AT(u16, r, FLAGS) = 0;
  AT(u32, r, HNEXT) = free_head;
  free_head = r;
  allocated--;
}

static u32 be32(u32 n) { return __builtin_bswap32(n); }

/* As image() in engine.ts: UDP with source NAT. */
static void image(u32 o, u32 id, u32 mark) {
  u32 port = 1024 + id % 50000;
  memset(m + o, 0, RECORD);
  AT(u16, o, PROTO) = 17 | 2 << 8;
  AT(u16, o, 12) = (u16)port;
  AT(u16, o, 14) = 53;
  AT(u32, o, OSRC) = be32(0x0a000000 + id / 50000 * 7919);
  AT(u32, o, ODST) = be32(0x08080000 + id % 251);
  AT(u32, o, RSRC) = be32(0x08080000 + id % 251);
  AT(u32, o, RDST) = be32(0xcb007101);
  AT(u16, o, RPORTS) = 53;
  AT(u16, o, 82) = (u16)port;
  AT(u32, o, MARK) = mark;
  AT(u16, o, STATUS) = 0xe;
}

static u64 ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

enum { UPSERT, FIND, DROP };

static double timed(u32 states, u64 step, u32 mark, int what) {
  u64 total = 0;
  u32 done = 0, images = PAGE;
  for (u32 from = 0; from < states; from += CHUNK) {
    u32 n = states - from < CHUNK ? states - from : CHUNK;
    for (u32 i = 0; i < n; i++) image(images + i * RECORD, (u32)((from + i) * step % states), mark);
    u64 begin = ns();
    for (u32 i = 0, s = images; i < n; i++, s += RECORD) {
      if (i % GROUP == 0) look_ahead(s, n - i < GROUP ? n - i : GROUP);
      u32 r = find_hashed(s);
      if (what == UPSERT) {
        if (r) update(r, s);
        else insert(s), done++;
      } else if (r) {
        if (what == DROP) drop(r);
        done++;
      }
    }
    total += ns() - begin;
  }
  if (done != states && mark == 0) exit(2);
  return (double)total / states;
}

/* Fresh memory for each table, as a new instance of the module has: an insert pays for the first touch of its page. */
static void reset(void) {
  if (m) munmap(m, 1ull << 32);
  m = mmap(0, 1ull << 32, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (m == MAP_FAILED) exit(1);
  heap_top = 8 * PAGE;
  pages = free_head = allocated = live = 0;
  slots_used = PER_PAGE;
  low_mask = SEGMENT - 1;
  segment_dir[0] = alloc_page();
  buckets = SEGMENT;
  memset(tags, 0, sizeof tags);
  memset(bucket_sums, 0, sizeof bucket_sums);
}

int main(int count, char **args) {
  for (int i = 0; i < 16; i++) ((u8 *)key_index)[i] = ((u8 *)key_print)[i] = (u8)(i * 13 + 5);
  for (int i = 1; i < count; i++) {
    u32 states = (u32)strtoul(args[i], 0, 10);
    reset();
    double insert_ns = timed(states, 7919, 0, UPSERT), find_ns = timed(states, 104729, 0, FIND);
    double update_ns = timed(states, 15485863, 1, UPSERT), drop_ns = timed(states, 49979687, 0, DROP);
    printf("%u %.2f %.2f %.2f %.2f %.2f\n", states, insert_ns, find_ns, update_ns, drop_ns, (double)heap_top / states);
  }
  return 0;
}
