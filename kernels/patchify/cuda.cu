// From 8-bit frames to the rows of a vision tower: resized along one axis and then the other on 8 bits, normalised and cut into patches.
// A thread makes one byte, or one number of a row.
//
// Never yet run on a GPU: it is compiled for sm_80 and sm_90a, and run by the emulation.
#include "device.h"

namespace {

// Along the middle axis of [outer][from_length][inner]: entry i of the result is the sum of `taps` entries from first[i] on.
struct Resample {
  const u8 *from;
  u8 *to;
  const int *first;
  const float *weights;  // [to_length][taps]
  int outer, from_length, to_length, inner, taps;
  int unused;
};

DEVICE void resample_bytes(const Resample &run) {
  i64 at = i64(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= i64(run.outer) * run.to_length * run.inner) return;
  int inner = at % run.inner, entry = at / run.inner % run.to_length;
  i64 outer = at / run.inner / run.to_length;
  float sum = 0.0f;
  for (int tap = 0; tap < run.taps; tap++) {
    // Beyond the end all weights are 0.
    int from = min(run.first[entry] + tap, run.from_length - 1);
    sum += run.weights[entry * run.taps + tap] * float(run.from[(outer * run.from_length + from) * run.inner + inner]);
  }
  run.to[at] = u8(fminf(fmaxf(floorf(sum + 0.5f), 0.0f), 255.0f));
}

struct Cut {
  const u8 *pictures;  // [count][height][width][3]
  void *rows;          // [patches][3][temporal][patch][patch], patches of a visual token side by side
  float scale[3], shift[3];
  int count, height, width, patch, temporal, merge;
};

template <class T> DEVICE void cut_patches(const Cut &run) {
  const int patch = run.patch, merge = run.merge, across = run.width / patch, down = run.height / patch;
  const int in_row = 3 * run.temporal * patch * patch;
  i64 at = i64(blockIdx.x) * blockDim.x + threadIdx.x, row = at / in_row;
  int moments = (run.count + run.temporal - 1) / run.temporal, inside = at % in_row;
  if (row >= i64(moments) * down * across) return;
  int x = inside % patch, y = inside / patch % patch, plane = inside / (patch * patch);
  int channel = plane / run.temporal, of_token = row % (merge * merge);
  int block = row / (merge * merge) % (across / merge), band = row / (merge * across) % (down / merge);
  int moment = row / (i64(down) * across);
  // The last picture is repeated to fill its moment.
  i64 picture = min(moment * run.temporal + plane % run.temporal, run.count - 1);
  i64 top = (band * merge + of_token / merge) * patch + y, left = (block * merge + of_token % merge) * patch + x;
  float byte = run.pictures[((picture * run.height + top) * run.width + left) * 3 + channel];
  static_cast<T *>(run.rows)[at] = narrow<T>(byte * run.scale[channel] + run.shift[channel]);
}

}  // namespace

KERNEL(resample, Resample, 256, 1, resample_bytes)
KERNEL(cut_bf16, Cut, 256, 1, cut_patches<Bf16>)
KERNEL(cut_f16, Cut, 256, 1, cut_patches<F16>)
