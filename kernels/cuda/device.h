// What the kernels need beyond C++: 16-bit floats, asynchronous copies, tensor-core products, warp exchanges. Each in a version for
// a GPU (sm_80 and later) and one for the emulation (emulate.h), so that a kernel's source is the same for both.
#pragma once

#ifdef LONGSIGHT_EMULATED
#include "emulate.h"
#else
#define DEVICE __device__ __forceinline__
// A kernel takes one structure, which Rust lays out alike.
#define KERNEL(NAME, ARGUMENTS, THREADS, BLOCKS, BODY) \
  extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) NAME(const __grid_constant__ ARGUMENTS arguments) { BODY(arguments); }
#endif

typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;
typedef long long i64;

constexpr float LOG2_E = 1.4426950408889634f, LN_2 = 0.6931471805599453f;

struct Bf16 {
  u16 bits;
};
struct F16 {
  u16 bits;
};

DEVICE float minus_infinity() { return -__builtin_huge_valf(); }

DEVICE float to_float(float x) { return x; }
DEVICE float to_float(Bf16 x) {
  u32 bits = u32(x.bits) << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

#ifdef LONGSIGHT_EMULATED

DEVICE float to_float(F16 x) {
  _Float16 half;
  memcpy(&half, &x, 2);
  return float(half);
}
DEVICE void from_float(float value, F16 &x) {
  _Float16 half = _Float16(value);
  memcpy(&x, &half, 2);
}
// To the nearest, ties to even; a NaN stays one.
DEVICE void from_float(float value, Bf16 &x) {
  u32 bits;
  memcpy(&bits, &value, 4);
  x.bits = value != value ? 0x7fff : u16((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
template <class T> DEVICE u32 pack(float low, float high) {
  T halves[2];
  from_float(low, halves[0]);
  from_float(high, halves[1]);
  u32 word;
  memcpy(&word, halves, 4);
  return word;
}
DEVICE float power_of_two(float x) { return exp2f(x); }

#else

DEVICE float to_float(F16 x) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(x.bits));
  return value;
}
// Two numbers in one register, the first in its lower half.
template <class T> DEVICE u32 pack(float low, float high);
template <> DEVICE u32 pack<Bf16>(float low, float high) {
  u32 word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
}
template <> DEVICE u32 pack<F16>(float low, float high) {
  u32 word;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
}
DEVICE void from_float(float value, Bf16 &x) { x.bits = u16(pack<Bf16>(value, 0.0f)); }
DEVICE void from_float(float value, F16 &x) { x.bits = u16(pack<F16>(value, 0.0f)); }
DEVICE float power_of_two(float x) {
  float value;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(value) : "f"(x));
  return value;
}

DEVICE u8 *shared_memory() {
  extern __shared__ uint4 shared[];
  return reinterpret_cast<u8 *>(shared);
}
DEVICE u32 shared_address(const void *at) { return u32(__cvta_generic_to_shared(at)); }

// Copies `bytes` (16 or 0) of global memory and fills up to 16 with zeros; done when `wait_for_copies` says so.
DEVICE void copy16(void *to, const void *from, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(bytes) : "memory");
}
DEVICE void wait_for_copies() { asm volatile("cp.async.wait_all;" ::: "memory"); }

// Four 8 x 8 matrices of 16-bit numbers; lane l gives the address of row l % 8 of matrix l / 8 and gets elements 2 (l % 4) and
// the next of row l / 4 of each; transposed, of column l / 4.
DEVICE void load_matrices(u32 (&to)[4], const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(shared_address(row))
               : "memory");
}
DEVICE void load_matrices_transposed(u32 (&to)[4], const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(shared_address(row))
               : "memory");
}

// c[16 x 8] += a[16 x 16] b[16 x 8]. With g = lane / 4 and t = lane % 4, a lane holds a[g, 2t..], a[g + 8, 2t..], a[g, 2t + 8..],
// a[g + 8, 2t + 8..]; b[2t.., g], b[2t + 8.., g]; c[g, 2t..], c[g + 8, 2t..].
template <class T> DEVICE void multiply_add(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1);
template <> DEVICE void multiply_add<Bf16>(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
template <> DEVICE void multiply_add<F16>(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// What the lane whose number differs in `mask` holds.
DEVICE float exchange(float x, int mask) { return __shfl_xor_sync(0xffffffffu, x, mask); }
DEVICE void add_to(float *sum, float x) { atomicAdd(sum, x); }

#endif

template <class T> DEVICE T narrow(float value) {
  T x;
  from_float(value, x);
  return x;
}
template <> DEVICE float narrow<float>(float value) { return value; }

DEVICE float sum_of_warp(float x) {
  for (int mask = 16; mask > 0; mask /= 2) x += exchange(x, mask);
  return x;
}
