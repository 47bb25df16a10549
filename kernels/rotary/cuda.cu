// Rotary embedding over three axes, in place: pair (x[i], x[i + dim / 2]) of every head is turned by the token's position on the pair's
// axis times the pair's frequency. A block of threads takes a token; its sines are computed once for all heads.
//
// Never yet run on a GPU: it is compiled for sm_80 and sm_90a, and run by the emulation.
#include "device.h"

namespace {

struct Rotate {
  void *rows;
  i64 token, head;         // elements from one to the next
  const int *positions;    // [3][tokens]
  const int *axes;         // [dim / 2]
  const float *frequencies;  // [dim / 2]
  int tokens, heads, dim;
  float scale;
};

template <class T> DEVICE void rotate(const Rotate &run) {
  const int pairs = run.dim / 2, token = blockIdx.x;
  float *cosines = reinterpret_cast<float *>(shared_memory()), *sines = cosines + pairs;
  for (int i = threadIdx.x; i < pairs; i += blockDim.x) {
    float angle = float(run.positions[run.axes[i] * run.tokens + token]) * run.frequencies[i];
    cosines[i] = cosf(angle) * run.scale;
    sines[i] = sinf(angle) * run.scale;
  }
  __syncthreads();
  for (int i = threadIdx.x; i < run.heads * pairs; i += blockDim.x) {
    int pair = i % pairs;
    T *low = static_cast<T *>(run.rows) + token * run.token + i / pairs * run.head + pair, *high = low + pairs;
    float x = to_float(*low), y = to_float(*high);
    *low = narrow<T>(x * cosines[pair] - y * sines[pair]);
    *high = narrow<T>(y * cosines[pair] + x * sines[pair]);
  }
}

}  // namespace

KERNEL(rotate_bf16, Rotate, 128, 1, rotate<Bf16>)
KERNEL(rotate_f16, Rotate, 128, 1, rotate<F16>)
