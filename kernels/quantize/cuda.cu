// Rows into codes of eight or four bits and back, as quantize/cpu.rs does: of each column, thirty-two rows at a time, the least number and
// the step between codes. A block of threads takes a group of rows, a thread a column (of four-bit codes two, half a row apart, whose codes
// share a byte), so that neighbours read and write neighbours.
//
// Never yet run on a GPU: it is compiled for sm_80 and sm_90a, and run by the emulation.
#include "device.h"

namespace {

constexpr int GROUP = 32;

struct Quantize {
  void *numbers;  // read, or written by `dequantize`
  i64 row;        // elements from one row to the next
  u8 *codes;      // [rows][columns], or half as many bytes
  F16 *bounds;    // [groups][least, step][columns]
  int rows, columns;
};

DEVICE float cut(float x) { return fminf(fmaxf(x, -65504.0f), 65504.0f); }

// Writes a column's bounds; gives the least number as it was written, and the step's reciprocal (0 for no step).
template <class T> DEVICE void limits(const Quantize &run, const T *rows, int count, int column, float largest, float (&of)[2]) {
  float low = -minus_infinity(), high = minus_infinity();
  for (int row = 0; row < count; row++) {
    float x = cut(to_float(rows[row * run.row + column]));
    low = fminf(low, x);
    high = fmaxf(high, x);
  }
  F16 *bounds = run.bounds + i64(blockIdx.x) * 2 * run.columns + column;
  from_float(low, bounds[0]);
  of[0] = to_float(bounds[0]);
  from_float((high - of[0]) / largest, bounds[run.columns]);
  float step = to_float(bounds[run.columns]);
  of[1] = step > 0.0f ? 1.0f / step : 0.0f;
}

DEVICE u32 code(float x, const float (&of)[2], float largest) {
  return u32(fminf(fmaxf(rintf((cut(x) - of[0]) * of[1]), 0.0f), largest));
}

template <class T, int BITS> DEVICE void quantize(const Quantize &run) {
  constexpr int SHARED = 8 / BITS;  // codes of a byte
  constexpr float LARGEST = (1 << BITS) - 1;
  const i64 first = i64(blockIdx.x) * GROUP;
  const int count = min(GROUP, int(run.rows - first)), wide = run.columns / SHARED;
  const T *rows = static_cast<const T *>(run.numbers) + first * run.row;
  for (int byte = threadIdx.x; byte < wide; byte += blockDim.x) {
    float of[SHARED][2];
    for (int part = 0; part < SHARED; part++) limits(run, rows, count, byte + part * wide, LARGEST, of[part]);
    for (int row = 0; row < count; row++) {
      u32 codes = 0;
      for (int part = 0; part < SHARED; part++)
        codes |= code(to_float(rows[row * run.row + byte + part * wide]), of[part], LARGEST) << (part * BITS);
      run.codes[(first + row) * wide + byte] = u8(codes);
    }
  }
}

template <class T, int BITS> DEVICE void dequantize(const Quantize &run) {
  constexpr int SHARED = 8 / BITS;
  const i64 first = i64(blockIdx.x) * GROUP;
  const int count = min(GROUP, int(run.rows - first)), wide = run.columns / SHARED;
  T *rows = static_cast<T *>(run.numbers) + first * run.row;
  const F16 *bounds = run.bounds + i64(blockIdx.x) * 2 * run.columns;
  for (int byte = threadIdx.x; byte < wide; byte += blockDim.x)
    for (int row = 0; row < count; row++) {
      u32 codes = run.codes[(first + row) * wide + byte];
      for (int part = 0; part < SHARED; part++) {
        int column = byte + part * wide;
        float low = to_float(bounds[column]), step = to_float(bounds[run.columns + column]);
        rows[row * run.row + column] = narrow<T>(low + step * float(codes >> (part * BITS) & ((1 << BITS) - 1)));
      }
    }
}

}  // namespace

#define EACH(NAME, T)                                                  \
  KERNEL(quantize8_##NAME, Quantize, 128, 1, (quantize<T, 8>))         \
  KERNEL(quantize4_##NAME, Quantize, 128, 1, (quantize<T, 4>))         \
  KERNEL(dequantize8_##NAME, Quantize, 128, 1, (dequantize<T, 8>))     \
  KERNEL(dequantize4_##NAME, Quantize, 128, 1, (dequantize<T, 4>))
EACH(f32, float)
EACH(bf16, Bf16)
EACH(f16, F16)
