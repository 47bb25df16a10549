// What some rows look at (probe.rs): two walks over the keys, one for the rows' log-sums, one for the shares of keys and distances. The
// map of rows and keys is never written. A block of threads takes up to 64 rows of a head and a stretch of keys.
//
// For sm_80 and later. Never yet run on a GPU: it is compiled for sm_80 and sm_90a, and run by the emulation.
#include "tile.cuh"

namespace {

struct Probe {
  const void *queries, *keys;
  i64 query_head, query_row, key_head, key_row;
  const int *positions;  // [rows]
  const int *near;       // [heads]
  float *logs;           // [stretches][heads][rows], written by the first walk; the second reads [heads][rows]
  float *columns;        // [heads][seen]
  float *distances;      // [heads][seen]
  float *far;            // [heads][rows]
  int heads, group, rows, dim, seen, stretch;
  float scale;           // times log2(e)
  int unused;
};

constexpr int WARPS = 4;
constexpr int SHARE_PITCH = KEYS + 1;

template <class T, int D, bool SHARES> struct Probing {
  const Probe &run;

  DEVICE void load(T *keys, int head, int first) const {
    constexpr int CHUNKS = D / 8;
    const T *rows = static_cast<const T *>(run.keys) + head / run.group * run.key_head;
    for (int i = threadIdx.x; i < KEYS * CHUNKS; i += 32 * WARPS) {
      int key = first + i / CHUNKS, column = i % CHUNKS * 8;
      bool read = key < run.seen && column < run.dim;
      copy16(keys + i / CHUNKS * PITCH<D> + column, rows + (read ? key * run.key_row + column : 0), read ? 16 : 0);
    }
  }

  DEVICE void all() const {
    T *keys = reinterpret_cast<T *>(shared_memory());
    float *sums = reinterpret_cast<float *>(keys + KEYS * PITCH<D>);  // [WARPS][KEYS]
    float *shares = sums + WARPS * KEYS;                              // [16 * WARPS][SHARE_PITCH]
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4, head = blockIdx.x;
    const int begin = blockIdx.y * run.stretch, end = min(begin + run.stretch, run.seen), near = run.near[head];
    int rows[2], stands[2];
    u32 queries[D / 16][4];
    float largest[2], total[2], far[2];
    for (int half = 0; half < 2; half++) {
      rows[half] = warp * 16 + half * 8 + g;
      int row = min(rows[half], run.rows - 1);
      // A row that is not there stands before every key.
      stands[half] = rows[half] < run.rows ? run.positions[row] : -1;
      const T *query = static_cast<const T *>(run.queries) + head * run.query_head + row * run.query_row;
      take_queries<T, D>(queries, query, half, run.dim, t);
      largest[half] = SHARES ? run.logs[i64(head) * run.rows + row] * LOG2_E : minus_infinity();
      total[half] = far[half] = 0.0f;
    }
    for (int first = begin; first < end; first += KEYS) {
      __syncthreads();  // nobody reads the keys or shares before these
      load(keys, head, first);
      wait_for_copies();
      __syncthreads();
      float scores[KEYS / 8][4] = {};
      multiply_keys<T, D>(scores, queries, keys, lane);
      if (SHARES) {
        share(scores, first, near, stands, largest, far, sums + warp * KEYS, shares + warp * 16 * SHARE_PITCH, g, t);
        __syncthreads();
        give(sums, shares, head, first, warp, lane);
      } else {
        gather(scores, first, stands, largest, total, t);
      }
    }
    for (int half = 0; half < 2; half++) {
      float sum = SHARES ? far[half] : total[half];
      sum += exchange(sum, 1);
      sum += exchange(sum, 2);
      if (t != 0 || rows[half] >= run.rows) continue;
      i64 at = i64(head) * run.rows + rows[half];
      if (SHARES) add_to(&run.far[at], sum);
      else run.logs[i64(blockIdx.y) * run.heads * run.rows + at] = sum > 0.0f ? (largest[half] + log2f(sum)) * LN_2 : minus_infinity();
    }
  }

  // The running softmax of the first walk.
  DEVICE void gather(float (&scores)[KEYS / 8][4], int first, const int (&stands)[2], float (&largest)[2], float (&total)[2], int t) const {
    for (int half = 0; half < 2; half++) {
      float top = largest[half];
#pragma unroll
      for (int block = 0; block < KEYS / 8; block++)
        for (int i = 0; i < 2; i++) {
          float &score = scores[block][half * 2 + i];
          score = first + block * 8 + t * 2 + i <= stands[half] ? score * run.scale : minus_infinity();
          top = fmaxf(top, score);
        }
      top = fmaxf(top, exchange(top, 1));
      top = fmaxf(top, exchange(top, 2));
      float base = top > minus_infinity() ? top : 0.0f, sum = 0.0f;
#pragma unroll
      for (int block = 0; block < KEYS / 8; block++)
        for (int i = 0; i < 2; i++) sum += power_of_two(scores[block][half * 2 + i] - base);
      total[half] = total[half] * power_of_two(largest[half] - base) + sum;
      largest[half] = top;
    }
  }

  // Shares of a block of keys: summed over the warp's rows into `sums`, one by one into `shares`.
  DEVICE void share(const float (&scores)[KEYS / 8][4], int first, int near, const int (&stands)[2], const float (&logs)[2],
                    float (&far)[2], float *sums, float *shares, int g, int t) const {
#pragma unroll
    for (int block = 0; block < KEYS / 8; block++)
      for (int i = 0; i < 2; i++) {
        int column = block * 8 + t * 2 + i, key = first + column;
        float sum = 0.0f;
        for (int half = 0; half < 2; half++) {
          float own = key <= stands[half] ? power_of_two(scores[block][half * 2 + i] * run.scale - logs[half]) : 0.0f;
          if (run.distances) shares[(half * 8 + g) * SHARE_PITCH + column] = own;
          if (stands[half] - key <= near) own = 0.0f;
          far[half] += own;
          sum += own;
        }
        for (int mask = 4; mask < 32; mask *= 2) sum += exchange(sum, mask);
        if (g == 0) sums[column] = sum;
      }
  }

  // Writes what a block of keys has; distances from row to row overlap, so they are added.
  DEVICE void give(const float *sums, const float *shares, int head, int first, int warp, int lane) const {
    if (threadIdx.x < KEYS && first + int(threadIdx.x) < run.seen) {
      float sum = 0.0f;
      for (int warp = 0; warp < WARPS; warp++) sum += sums[warp * KEYS + threadIdx.x];
      run.columns[i64(head) * run.seen + first + threadIdx.x] = sum;
    }
    if (!run.distances) return;
    for (int row = warp * 16; row < min(warp * 16 + 16, run.rows); row++)
      for (int column = lane; column < KEYS; column += 32) {
        int distance = run.positions[row] - first - column;
        if (distance >= 0) add_to(&run.distances[i64(head) * run.seen + distance], shares[row * SHARE_PITCH + column]);
      }
  }
};

template <class T, int D, bool SHARES> DEVICE void probe(const Probe &run) { Probing<T, D, SHARES>{run}.all(); }

}  // namespace

#define PROBE(NAME, T, D)                                                     \
  KERNEL(probe_logs_##NAME##_##D, Probe, 128, 2, (probe<T, D, false>))        \
  KERNEL(probe_shares_##NAME##_##D, Probe, 128, 2, (probe<T, D, true>))
#define EACH(NAME, T) PROBE(NAME, T, 64) PROBE(NAME, T, 80) PROBE(NAME, T, 128)
EACH(bf16, Bf16)
EACH(f16, F16)
