// What attention and its probe share: a warp's sixteen query rows in registers, 64 keys of a block in shared memory, their scores.
#pragma once
#include "device.h"

namespace {

constexpr int KEYS = 64;

// An odd number of 16-byte pieces to a row, so that eight rows of a matrix lie in eight different banks.
template <int D> constexpr int PITCH = (D / 8 | 1) * 8;

// Of two rows, g and g + 8 of the warp's sixteen, the lane's columns.
template <class T, int D> DEVICE void take_queries(u32 (&to)[D / 16][4], const T *row, int half, int dim, int t) {
#pragma unroll
  for (int step = 0; step < D / 16; step++)
    for (int side = 0; side < 2; side++) {
      int column = step * 16 + side * 8 + t * 2;
      to[step][side * 2 + half] = column < dim ? *reinterpret_cast<const u32 *>(row + column) : 0;
    }
}

// scores[16 x 64] += queries[16 x D] keys[64 x D]^T
template <class T, int D>
DEVICE void multiply_keys(float (&scores)[KEYS / 8][4], const u32 (&queries)[D / 16][4], const T *keys, int lane) {
#pragma unroll
  for (int step = 0; step < D / 16; step++)
#pragma unroll
    for (int block = 0; block < KEYS / 16; block++) {
      u32 part[4];
      load_matrices(part, keys + (block * 16 + lane / 16 * 8 + lane % 8) * PITCH<D> + step * 16 + lane / 8 % 2 * 8);
      multiply_add<T>(scores[block * 2], queries[step], part[0], part[1]);
      multiply_add<T>(scores[block * 2 + 1], queries[step], part[2], part[3]);
    }
}

}  // namespace
