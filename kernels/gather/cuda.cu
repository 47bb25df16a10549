// Rows picked out and summed up: row i of the output is the sum of some rows of the input, each times its weight. Visual tokens that a
// compressor keeps or merges, and blocks of a cache of keys and values on their way elsewhere, are the same work. A block of threads takes
// an output row of a head, a thread every so many columns; sums are f32, and a single row of weight 1 comes out as it went in.
//
// Never yet run on a GPU: it is compiled for sm_80 and sm_90a, and run by the emulation.
#include "device.h"

namespace {

struct Gather {
  const void *from;
  i64 from_head, from_row;  // elements from one to the next
  void *to;
  i64 to_head, to_row;
  const int *bounds;     // [groups + 1]: group i is members bounds[i] .. bounds[i + 1]
  const int *rows;       // of each member
  const float *weights;  // of each member
  int columns;
  int unused;
};

template <class T> DEVICE void gather(const Gather &run) {
  const i64 group = blockIdx.x, head = blockIdx.y;
  const T *from = static_cast<const T *>(run.from) + head * run.from_head;
  T *to = static_cast<T *>(run.to) + head * run.to_head + group * run.to_row;
  const int begin = run.bounds[group], end = run.bounds[group + 1];
  for (int column = threadIdx.x; column < run.columns; column += blockDim.x) {
    float sum = 0.0f;
    for (int member = begin; member < end; member++)
      sum += run.weights[member] * to_float(from[run.rows[member] * run.from_row + column]);
    to[column] = narrow<T>(sum);
  }
}

}  // namespace

KERNEL(gather_f32, Gather, 128, 1, gather<float>)
KERNEL(gather_bf16, Gather, 128, 1, gather<Bf16>)
KERNEL(gather_f16, Gather, 128, 1, gather<F16>)
