// Rotary embedding over three axes: pair (x[i], x[i + dim / 2]) of every head is turned by the token's position on the pair's axis times
// the pair's frequency. A block of threads takes a token; its sines are computed once for all heads. Sines and turns are f32; only what
// is written is rounded.
//
// Never yet run on a GPU: it is compiled for sm_80 and sm_90a, and run by the emulation.
#include "device.h"

namespace {

struct Rotate {
  const void *from;
  i64 from_token, from_head;  // elements from one to the next
  void *to;                   // may be `from`
  i64 to_token, to_head;
  const u32 *places;         // [4][placed]: time, row, column, set of frequencies
  const int *axes;           // [dim / 2]
  const float *frequencies;  // [sets][dim / 2]
  int placed, first, count;  // token i stands where the table's token first + i % count does
  int heads, dim;
  float scale;
};

template <class T> DEVICE void rotate(const Rotate &run) {
  const int pairs = run.dim / 2;
  const i64 token = blockIdx.x, place = run.first + token % run.count, placed = run.placed;
  float *cosines = reinterpret_cast<float *>(shared_memory()), *sines = cosines + pairs;
  const float *frequencies = run.frequencies + i64(run.places[3 * placed + place]) * pairs;
  for (int i = threadIdx.x; i < pairs; i += blockDim.x) {
    float angle = float(run.places[run.axes[i] * placed + place]) * frequencies[i];
    cosines[i] = cosf(angle) * run.scale;
    sines[i] = sinf(angle) * run.scale;
  }
  __syncthreads();
  const T *from = static_cast<const T *>(run.from) + token * run.from_token;
  T *to = static_cast<T *>(run.to) + token * run.to_token;
  for (int i = threadIdx.x; i < run.heads * pairs; i += blockDim.x) {
    int head = i / pairs, pair = i % pairs;
    float x = to_float(from[head * run.from_head + pair]), y = to_float(from[head * run.from_head + pair + pairs]);
    to[head * run.to_head + pair] = narrow<T>(x * cosines[pair] - y * sines[pair]);
    to[head * run.to_head + pair + pairs] = narrow<T>(y * cosines[pair] + x * sines[pair]);
  }
}

}  // namespace

KERNEL(rotate_bf16, Rotate, 128, 1, rotate<Bf16>)
KERNEL(rotate_f16, Rotate, 128, 1, rotate<F16>)
