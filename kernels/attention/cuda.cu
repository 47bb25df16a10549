// Attention by a program (program.rs) on tensor cores, FlashAttention-2's loop: a block of threads takes a tile of query rows, a warp
// sixteen of them, and the tile's keys pass by, 64 at a time. Dense, causal and sparse attention are tables for the same loop; so is
// decoding, whose tiles are the query heads of one key head and stretches of the keys (`merge` joins what stretches gave).
//
// For sm_80 and later (mma.sync, cp.async). Never yet run on a GPU: it is compiled for sm_80 and sm_90a, and run by the emulation.
#include "tile.cuh"

namespace {

// Member i of a set stands at list[i], or at first + i * step.
struct Positions {
  const int *list;
  int first, step, count;
  int unused;
};
DEVICE int position(const Positions &set, int member) { return set.list ? set.list[member] : set.first + member * set.step; }

// How many members lie before a position.
DEVICE int below(const Positions &set, int position) {
  if (!set.list) {
    int past = position - set.first;
    return past <= 0 ? 0 : min((past + set.step - 1) / set.step, set.count);
  }
  int from = 0, to = set.count;
  while (from < to) {
    int middle = (from + to) / 2;
    if (set.list[middle] < position) from = middle + 1;
    else to = middle;
  }
  return from;
}

// Keys and values of a key head. With `raises`, what scores of each member are raised by in powers of two, row i is member i; otherwise
// the member's position.
struct Set {
  Positions positions;
  const void *keys, *values;
  i64 key_row, value_row;
  const float *raises;
};

// Keys k of begin..end with row - far <= k <= row - near.
struct Segment {
  int set, begin, end, near, far;
};

// Rows first .. of an order, each for the heads head .. head + pack: `count` pairs of both, the head running faster.
struct Tile {
  int head, pack, order, first, count;
  int sets, segments_begin, segments_end;
  int slot, fresh;
};

struct Attend {
  const void *queries;
  i64 query_head, query_row;
  const Set *sets;
  const Positions *orders;
  const Segment *segments;
  const Tile *tiles;
  void *out;     // [slots][heads][rows][dim], as the queries or, `wide`, f32
  float *lse;    // [slots][heads][rows], natural logarithms
  int heads, rows, dim, first, wide;
  float scale;   // times log2(e)
};

// Where a tile is in its walk over keys: members at .. end of the set of a segment.
struct Walk {
  int segment, at, end;
};

template <class T, int D, int WARPS> struct Attention {
  static constexpr int THREADS = 32 * WARPS, CHUNKS = D / 8;

  const Attend &run;
  const Tile &tile;
  T *keys, *values;
  int *key_positions;
  int first_position, last_position;

  DEVICE int row_of(int pair) const { return position(run.orders[tile.order], tile.first + pair / tile.pack); }

  // The first block of keys at or after segment `segment`.
  DEVICE Walk from_segment(int segment) const {
    for (; segment < tile.segments_end; segment++) {
      const Segment &own = run.segments[segment];
      const Positions &set = run.sets[tile.sets + own.set].positions;
      int at = below(set, max(own.begin, first_position - own.far));
      int end = below(set, min(own.end, last_position + 1 - own.near));
      if (at < end) return {segment, at, end};
    }
    return {segment, 0, 0};
  }
  DEVICE Walk after(const Walk &walk) const {
    return walk.at + KEYS < walk.end ? Walk{walk.segment, walk.at + KEYS, walk.end} : from_segment(walk.segment + 1);
  }

  template <bool VALUES> DEVICE void load(const Walk &walk) const {
    const Set &set = run.sets[tile.sets + run.segments[walk.segment].set];
    const T *rows = static_cast<const T *>(VALUES ? set.values : set.keys);
    const i64 pitch = VALUES ? set.value_row : set.key_row;
    T *to = VALUES ? values : keys;
    for (int i = threadIdx.x; i < KEYS * CHUNKS; i += THREADS) {
      int key = i / CHUNKS, column = i % CHUNKS * 8, member = walk.at + key;
      bool there = member < walk.end;
      int stands = there ? position(set.positions, member) : -1;
      bool read = there && column < run.dim;
      const T *from = rows + (read ? (set.raises ? member : stands) * pitch + column : 0);
      copy16(to + key * PITCH<D> + column, from, read ? 16 : 0);
      if (!VALUES && column == 0) key_positions[key] = stands;
    }
  }

  DEVICE void all() {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    first_position = run.first + row_of(0);
    last_position = run.first + row_of(tile.count - 1);

    // This lane's two rows, g and g + 8 of the warp's sixteen; a row that is not there sees nothing and is not written.
    int pairs[2], heads[2], rows[2];
    u32 queries[D / 16][4];
    float largest[2], total[2];
    float out[D / 8][4];
    for (int half = 0; half < 2; half++) {
      pairs[half] = warp * 16 + half * 8 + g;
      int pair = min(pairs[half], tile.count - 1);
      heads[half] = tile.head + pair % tile.pack;
      rows[half] = row_of(pair);
      const T *query = static_cast<const T *>(run.queries) + heads[half] * run.query_head + rows[half] * run.query_row;
      take_queries<T, D>(queries, query, half, run.dim, t);
      // What an earlier pass gave is taken up as one key of that weight.
      i64 at = (i64(tile.slot) * run.heads + heads[half]) * run.rows + rows[half];
      largest[half] = tile.fresh ? minus_infinity() : run.lse[at] * LOG2_E;
      total[half] = t == 0 && largest[half] > minus_infinity() ? 1.0f : 0.0f;
#pragma unroll
      for (int block = 0; block < D / 8; block++)
        for (int i = 0; i < 2; i++) {
          int column = block * 8 + t * 2 + i;
          bool given = !tile.fresh && column < run.dim;
          out[block][half * 2 + i] = given ? static_cast<const float *>(run.out)[at * run.dim + column] : 0.0f;
        }
    }

    Walk walk = from_segment(tile.segments_begin);
    bool more = walk.segment < tile.segments_end;
    if (more) load<false>(walk);
    while (more) {
      wait_for_copies();
      __syncthreads();  // the keys are there, and nobody reads the values before these
      load<true>(walk);
      float scores[KEYS / 8][4] = {};
      multiply_keys<T, D>(scores, queries, keys, lane);
      hide(scores, walk, pairs, rows, t);
      Walk next = after(walk);
      more = next.segment < tile.segments_end;
      wait_for_copies();
      __syncthreads();  // the values are there, and nobody reads these keys or their positions any more
      if (more) load<false>(next);
      weigh(scores, largest, total, out);
#pragma unroll
      for (int step = 0; step < KEYS / 16; step++) {
        u32 weights[4];
        for (int part = 0; part < 4; part++) {
          const float *pair = &scores[step * 2 + part / 2][part % 2 * 2];
          weights[part] = pack<T>(pair[0], pair[1]);
        }
#pragma unroll
        for (int block = 0; block < D / 16; block++) {
          u32 part[4];
          load_matrices_transposed(part, values + (step * 16 + lane / 8 % 2 * 8 + lane % 8) * PITCH<D> + block * 16 + lane / 16 * 8);
          multiply_add<T>(out[block * 2], weights, part[0], part[1]);
          multiply_add<T>(out[block * 2 + 1], weights, part[2], part[3]);
        }
      }
      walk = next;
    }
    for (int half = 0; half < 2; half++) write(half, pairs[half], heads[half], rows[half], t, largest[half], total[half], out);
  }

  // Scales the scores, and hides those of keys that a row does not see.
  DEVICE void hide(float (&scores)[KEYS / 8][4], const Walk &walk, const int (&pairs)[2], const int (&rows)[2], int t) const {
    const Segment &own = run.segments[walk.segment];
    const Set &set = run.sets[tile.sets + own.set];
    // Rows and keys ascend, so a block that the first row sees the end of and the last row the start of is seen by all.
    const bool whole = walk.at + KEYS <= walk.end && tile.count == 16 * WARPS &&
                       key_positions[KEYS - 1] <= min(own.end - 1, first_position - own.near) &&
                       key_positions[0] >= max(own.begin, last_position - own.far);
    for (int half = 0; half < 2; half++) {
      int row = run.first + rows[half];
      int from = pairs[half] < tile.count ? max(max(own.begin, row - own.far), 0) : 0x7fffffff;
      int until = min(own.end - 1, row - own.near);
#pragma unroll
      for (int block = 0; block < KEYS / 8; block++)
        for (int i = 0; i < 2; i++) {
          float &score = scores[block][half * 2 + i];
          int at = block * 8 + t * 2 + i;
          score = score * run.scale + (set.raises && walk.at + at < walk.end ? set.raises[walk.at + at] : 0.0f);
          if (!whole) {
            int key = key_positions[at];
            if (key < from || key > until) score = minus_infinity();
          }
        }
    }
  }

  // From scores to weights, against the largest score so far; what was gathered before is made smaller if there is a larger one.
  DEVICE void weigh(float (&scores)[KEYS / 8][4], float (&largest)[2], float (&total)[2], float (&out)[D / 8][4]) const {
    for (int half = 0; half < 2; half++) {
      float top = largest[half];
#pragma unroll
      for (int block = 0; block < KEYS / 8; block++) top = fmaxf(top, fmaxf(scores[block][half * 2], scores[block][half * 2 + 1]));
      top = fmaxf(top, exchange(top, 1));
      top = fmaxf(top, exchange(top, 2));
      float base = top > minus_infinity() ? top : 0.0f, shrink = power_of_two(largest[half] - base), sum = 0.0f;
#pragma unroll
      for (int block = 0; block < KEYS / 8; block++)
        for (int i = 0; i < 2; i++) {
          float &score = scores[block][half * 2 + i];
          score = power_of_two(score - base);
          sum += score;
        }
      total[half] = total[half] * shrink + sum;
      largest[half] = top;
#pragma unroll
      for (int block = 0; block < D / 8; block++) {
        out[block][half * 2] *= shrink;
        out[block][half * 2 + 1] *= shrink;
      }
    }
  }

  DEVICE void write(int half, int pair, int head, int row, int t, float largest, float total, const float (&out)[D / 8][4]) const {
    total += exchange(total, 1);
    total += exchange(total, 2);
    if (pair >= tile.count) return;
    float share = total > 0.0f ? 1.0f / total : 0.0f;
    i64 at = (i64(tile.slot) * run.heads + head) * run.rows + row;
    if (t == 0) run.lse[at] = total > 0.0f ? (largest + log2f(total)) * LN_2 : minus_infinity();
#pragma unroll
    for (int block = 0; block < D / 8; block++) {
      int column = block * 8 + t * 2;
      if (column >= run.dim) continue;
      float low = out[block][half * 2] * share, high = out[block][half * 2 + 1] * share;
      if (run.wide) {
        float *to = static_cast<float *>(run.out) + at * run.dim + column;
        to[0] = low, to[1] = high;
      } else {
        *reinterpret_cast<u32 *>(static_cast<T *>(run.out) + at * run.dim + column) = pack<T>(low, high);
      }
    }
  }
};

template <class T, int D, int WARPS> DEVICE void attend(const Attend &run) {
  using Own = Attention<T, D, WARPS>;
  T *keys = reinterpret_cast<T *>(shared_memory());
  T *values = keys + KEYS * PITCH<D>;
  Own own{run, run.tiles[blockIdx.x], keys, values, reinterpret_cast<int *>(values + KEYS * PITCH<D>), 0, 0};
  own.all();
}

// Joins what the slots gathered for each row, as if all their keys had been in one softmax.
struct Merge {
  const float *parts;  // [slots][rows][dim]
  const float *logs;   // [slots][rows]
  void *out;
  float *lse;
  int slots, rows, dim;
  int unused;
};

template <class T> DEVICE void merge(const Merge &run) {
  int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (row >= run.rows) return;
  float largest = minus_infinity(), total = 0.0f;
  for (int slot = 0; slot < run.slots; slot++) largest = fmaxf(largest, run.logs[i64(slot) * run.rows + row]);
  float base = largest > minus_infinity() ? largest : 0.0f;
  for (int slot = 0; slot < run.slots; slot++) total += expf(run.logs[i64(slot) * run.rows + row] - base);
  for (int column = lane; column < run.dim; column += 32) {
    float sum = 0.0f;
    for (int slot = 0; slot < run.slots; slot++) {
      i64 at = i64(slot) * run.rows + row;
      sum += expf(run.logs[at] - base) * run.parts[at * run.dim + column];
    }
    static_cast<T *>(run.out)[i64(row) * run.dim + column] = narrow<T>(total > 0.0f ? sum / total : 0.0f);
  }
  if (lane == 0) run.lse[row] = total > 0.0f ? largest + logf(total) : minus_infinity();
}

struct Fill {
  float *values;
  i64 count;
  float value;
  int unused;
};

DEVICE void fill_values(const Fill &run) {
  i64 begin = i64(blockIdx.x) * 1024;
  for (i64 i = begin + threadIdx.x; i < min(begin + 1024, run.count); i += blockDim.x) run.values[i] = run.value;
}

}  // namespace

KERNEL(fill, Fill, 256, 1, fill_values)
#define ATTEND(NAME, T, D)                                                \
  KERNEL(attend_##NAME##_##D, Attend, 192, 2, (attend<T, D, 6>))          \
  KERNEL(attend_few_##NAME##_##D, Attend, 32, 4, (attend<T, D, 1>))
#define EACH(NAME, T)                                \
  ATTEND(NAME, T, 64)                                \
  ATTEND(NAME, T, 80)                                \
  ATTEND(NAME, T, 128)                               \
  KERNEL(merge_##NAME, Merge, 128, 1, merge<T>)
EACH(bf16, Bf16)
EACH(f16, F16)
