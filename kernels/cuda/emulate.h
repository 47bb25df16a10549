// CUDA's execution model on a CPU, so that the kernels' own sources run in the test-suite of a machine without a GPU.
//
// The threads of a block are fibers. A fiber runs until it meets the other lanes of its warp (a product, an exchange) or the whole
// block (a barrier); warps take turns in one order or, `backwards`, in the other, lanes likewise. Shared memory starts as NaN,
// asynchronous copies happen no earlier than they are waited for, and a warp that does not meet as one ends the process. So indices,
// masks, fragments and arithmetic are those of the GPU, and a missing wait or barrier shows as NaN or as a difference between the two
// orders. It says nothing of the memory model beyond that, of alignment, or of speed.
#pragma once

#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <ucontext.h>
#include <vector>

using std::max;
using std::min;

#define DEVICE inline
#define KERNEL(NAME, ARGUMENTS, THREADS, BLOCKS, BODY)                                    \
  extern "C" void NAME(const void *arguments, const emulate::Launch *launch) {            \
    ARGUMENTS copy;                                                                       \
    memcpy(&copy, arguments, sizeof copy);                                                \
    emulate::run(*launch, &copy, [](const void *at) { BODY(*(const ARGUMENTS *)at); });   \
  }

struct uint3 {
  unsigned x, y, z;
};

namespace emulate {

struct Launch {
  unsigned grid[3], threads, shared;
  int backwards;
};

constexpr int WARP = 32;
constexpr size_t STACK = 128 << 10;

[[noreturn]] inline void fail(const char *what) {
  fprintf(stderr, "emulated kernel: %s\n", what);
  abort();
}

struct Copy {
  void *to;
  const void *from;
  int bytes;
};

enum class State { Ready, AtWarp, AtBlock, Done };

// What the lanes of a warp do together, given what each brought.
using Meeting = void (*)(void **brought);

struct Fiber {
  uint3 index;
  State state;
  bool begun;
  Meeting meeting;
  void *brought;
  std::vector<Copy> copies;
  ucontext_t start;
  jmp_buf at;
  std::unique_ptr<char[]> stack{new char[STACK]};
};

// The block that this thread of the CPU runs.
struct Block {
  uint3 index, grid;
  uint3 size;
  std::vector<std::unique_ptr<Fiber>> fibers;
  Fiber *now = nullptr;
  jmp_buf scheduler;
  ucontext_t unused;
  void (*body)(const void *);
  const void *arguments;
  std::vector<unsigned char> memory;
  unsigned char *shared = nullptr;
};

inline thread_local Block block;

inline void enter() {
  block.body(block.arguments);
  block.now->state = State::Done;
  _longjmp(block.scheduler, 1);
}

__attribute__((noinline)) inline void pause(State state) {
  block.now->state = state;
  if (_setjmp(block.now->at) == 0) _longjmp(block.scheduler, 1);
}

__attribute__((noinline)) inline void resume(Fiber &fiber) {
  block.now = &fiber;
  if (_setjmp(block.scheduler) != 0) return;
  if (fiber.begun) _longjmp(fiber.at, 1);
  fiber.begun = true;
  getcontext(&fiber.start);
  fiber.start.uc_stack.ss_sp = fiber.stack.get();
  fiber.start.uc_stack.ss_size = STACK;
  fiber.start.uc_link = &block.unused;
  makecontext(&fiber.start, enter, 0);
  setcontext(&fiber.start);
}

inline void meet(Meeting meeting, void *brought) {
  block.now->meeting = meeting;
  block.now->brought = brought;
  pause(State::AtWarp);
}

// Runs a warp until it is done or waits for the block; whether it had anything to do.
inline bool run_warp(unsigned first, bool backwards) {
  bool any = false;
  for (;;) {
    void *brought[WARP];
    int met = 0, done = 0;
    for (int i = 0; i < WARP; i++) {
      int lane = backwards ? WARP - 1 - i : i;
      Fiber &fiber = *block.fibers[first + lane];
      if (fiber.state == State::Ready) any = true, resume(fiber);
      met += fiber.state == State::AtWarp, done += fiber.state == State::Done;
      brought[lane] = fiber.brought;
    }
    if (met == 0 && (done == 0 || done == WARP)) return any;
    if (met != WARP) fail("a warp does not meet as one");
    for (int lane = 0; lane < WARP; lane++) {
      if (block.fibers[first + lane]->meeting != block.fibers[first]->meeting) fail("a warp meets for different things");
      block.fibers[first + lane]->state = State::Ready;
    }
    block.fibers[first]->meeting(brought);
  }
}

inline void run_block(unsigned threads, bool backwards) {
  for (unsigned i = 0; i < threads; i++) {
    Fiber &fiber = *block.fibers[i];
    fiber.index = {i, 0, 0};
    fiber.state = State::Ready;
    fiber.begun = false;
    fiber.copies.clear();
  }
  unsigned warps = threads / WARP;
  for (;;) {
    bool any = false;
    for (unsigned i = 0; i < warps; i++) any |= run_warp((backwards ? warps - 1 - i : i) * WARP, backwards);
    unsigned waiting = 0, done = 0;
    for (unsigned i = 0; i < threads; i++) {
      waiting += block.fibers[i]->state == State::AtBlock, done += block.fibers[i]->state == State::Done;
    }
    if (done == threads) return;
    if (waiting != threads || !any) fail("a block does not meet as one");
    for (unsigned i = 0; i < threads; i++) block.fibers[i]->state = State::Ready;
  }
}

inline void run(const Launch &launch, const void *arguments, void (*body)(const void *)) {
  constexpr size_t GUARD = 64;
  if (launch.threads % WARP != 0) fail("a block of parts of warps");
  while (block.fibers.size() < launch.threads) block.fibers.emplace_back(new Fiber);
  block.memory.resize(launch.shared + 2 * GUARD);
  block.shared = (unsigned char *)(((size_t)block.memory.data() + 15) / 16 * 16);
  block.body = body, block.arguments = arguments;
  block.grid = {launch.grid[0], launch.grid[1], launch.grid[2]};
  block.size = {launch.threads, 1, 1};
  for (unsigned z = 0; z < launch.grid[2]; z++)
    for (unsigned y = 0; y < launch.grid[1]; y++)
      for (unsigned x = 0; x < launch.grid[0]; x++) {
        block.index = {x, y, z};
        memset(block.shared, 0xff, launch.shared);
        memset(block.shared + launch.shared, 0xa5, GUARD);
        run_block(launch.threads, launch.backwards);
        for (size_t i = 0; i < GUARD; i++)
          if (block.shared[launch.shared + i] != 0xa5) fail("shared memory is written beyond its end");
      }
}

}  // namespace emulate

#define threadIdx (emulate::block.now->index)
#define blockIdx (emulate::block.index)
#define blockDim (emulate::block.size)
#define gridDim (emulate::block.grid)

inline void __syncthreads() { emulate::pause(emulate::State::AtBlock); }
inline void __syncwarp() {
  emulate::meet([](void **) {}, nullptr);
}

inline unsigned char *shared_memory() { return emulate::block.shared; }

inline void copy16(void *to, const void *from, int bytes) {
  if ((size_t)to % 16 != 0 || (bytes != 0 && (size_t)from % 16 != 0)) emulate::fail("a copy of 16 bytes is not aligned");
  emulate::block.now->copies.push_back({to, from, bytes});
}
inline void wait_for_copies() {
  for (emulate::Copy &copy : emulate::block.now->copies) {
    memcpy(copy.to, copy.from, copy.bytes);
    memset((char *)copy.to + copy.bytes, 0, 16 - copy.bytes);
  }
  emulate::block.now->copies.clear();
}

struct MatrixLoad {
  unsigned *to;
  const unsigned short *row;
};
template <bool TRANSPOSED> void load_for_warp(void **brought) {
  MatrixLoad *lanes[emulate::WARP];
  for (int lane = 0; lane < emulate::WARP; lane++) lanes[lane] = (MatrixLoad *)brought[lane];
  for (int lane = 0; lane < emulate::WARP; lane++)
    for (int matrix = 0; matrix < 4; matrix++) {
      unsigned short pair[2];
      for (int i = 0; i < 2; i++) {
        int own = lane / 4, other = 2 * (lane % 4) + i;
        pair[i] = TRANSPOSED ? lanes[matrix * 8 + other]->row[own] : lanes[matrix * 8 + own]->row[other];
      }
      memcpy(&lanes[lane]->to[matrix], pair, 4);
    }
}
inline void load_matrices(unsigned (&to)[4], const void *row) {
  MatrixLoad load{to, (const unsigned short *)row};
  emulate::meet(load_for_warp<false>, &load);
}
inline void load_matrices_transposed(unsigned (&to)[4], const void *row) {
  MatrixLoad load{to, (const unsigned short *)row};
  emulate::meet(load_for_warp<true>, &load);
}

struct Product {
  float *c;
  const unsigned *a;
  unsigned b[2];
};
struct Bf16;
float to_float(Bf16 x);
template <class T> void multiply_for_warp(void **brought) {
  float a[16][16], b[16][8];
  auto half = [](unsigned word, int i) {
    unsigned short bits = (unsigned short)(word >> 16 * i);
    T x;
    memcpy(&x, &bits, 2);
    return to_float(x);
  };
  for (int lane = 0; lane < emulate::WARP; lane++) {
    Product &own = *(Product *)brought[lane];
    int g = lane / 4, t = 2 * (lane % 4);
    for (int i = 0; i < 2; i++) {
      for (int part = 0; part < 4; part++) a[g + part % 2 * 8][t + part / 2 * 8 + i] = half(own.a[part], i);
      for (int part = 0; part < 2; part++) b[t + part * 8 + i][g] = half(own.b[part], i);
    }
  }
  for (int lane = 0; lane < emulate::WARP; lane++) {
    Product &own = *(Product *)brought[lane];
    for (int i = 0; i < 4; i++) {
      int row = lane / 4 + i / 2 * 8, column = 2 * (lane % 4) + i % 2;
      for (int k = 0; k < 16; k++) own.c[i] += a[row][k] * b[k][column];
    }
  }
}
template <class T> void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  Product product{c, a, {b0, b1}};
  emulate::meet(multiply_for_warp<T>, &product);
}

struct Exchange {
  float x;
  int mask;
  float got;
};
inline float exchange(float x, int mask) {
  Exchange own{x, mask, 0};
  emulate::meet(
      [](void **brought) {
        for (int lane = 0; lane < emulate::WARP; lane++) {
          Exchange *own = (Exchange *)brought[lane];
          own->got = ((Exchange *)brought[lane ^ own->mask])->x;
        }
      },
      &own);
  return own.got;
}
inline void add_to(float *sum, float x) { *sum += x; }
