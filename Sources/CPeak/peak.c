// What this machine can do at best, measured: the denominators of every share in the report.
#include "CPeak.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

enum { ROUNDS = 2000000 };

// Twelve accumulators hide the latency of two FMA units; the asm keeps each in a register of its own.
#define BODY(WIDTH)                                                                      \
  typedef float vec __attribute__((ext_vector_type(WIDTH)));                             \
  vec a[12], x = (vec)(0.999f), y = (vec)(1e-3f);                                        \
  for (int i = 0; i < 12; i++) a[i] = (vec)(i);                                          \
  for (int r = 0; r < ROUNDS; r++) {                                                     \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < 12; i++)                      \
      a[i] = __builtin_elementwise_fma(a[i], x, y);                                      \
    __asm__ volatile("" : "+v"(a[0]), "+v"(a[1]), "+v"(a[2]), "+v"(a[3]), "+v"(a[4]),    \
                     "+v"(a[5]), "+v"(a[6]), "+v"(a[7]), "+v"(a[8]), "+v"(a[9]),         \
                     "+v"(a[10]), "+v"(a[11]));                                          \
  }                                                                                      \
  vec sum = a[0];                                                                        \
  for (int i = 1; i < 12; i++) sum += a[i];                                              \
  return sum[0];

#if defined(__x86_64__)
__attribute__((target("avx512f,fma"))) static float fma512(void) { BODY(16) }
__attribute__((target("avx2,fma"))) static float fma256(void) { BODY(8) }
static int width(void) {
  if (__builtin_cpu_supports("avx512f")) return 16;
  return 8;
}
static float spin(void) { return width() == 16 ? fma512() : fma256(); }
#elif defined(__aarch64__)
#undef BODY
static float spin(void) {
  typedef float vec __attribute__((ext_vector_type(4)));
  vec a[12], x = (vec)(0.999f), y = (vec)(1e-3f);
  for (int i = 0; i < 12; i++) a[i] = (vec)(i);
  for (int r = 0; r < ROUNDS; r++) {
    _Pragma("clang loop unroll(full)") for (int i = 0; i < 12; i++)
      a[i] = __builtin_elementwise_fma(a[i], x, y);
    __asm__ volatile("" : "+w"(a[0]), "+w"(a[1]), "+w"(a[2]), "+w"(a[3]), "+w"(a[4]), "+w"(a[5]));
  }
  vec sum = a[0];
  for (int i = 1; i < 12; i++) sum += a[i];
  return sum[0];
}
static int width(void) { return 4; }
#endif

static void *spin_thread(void *out) {
  *(float *)out = spin();
  return NULL;
}

static double on_threads(int threads, void *(*body)(void *), char *arguments, size_t size) {
  pthread_t handles[256];
  if (threads > 256) threads = 256;
  double start = now();
  for (int i = 0; i < threads; i++) pthread_create(&handles[i], NULL, body, arguments + i * size);
  for (int i = 0; i < threads; i++) pthread_join(handles[i], NULL);
  return now() - start;
}

double apus_fma_peak(int threads) {
  float sink[256];
  double best = 0;
  for (int repeat = 0; repeat < 7; repeat++) {
    double seconds = on_threads(threads, spin_thread, (char *)sink, sizeof(float));
    double rate = 2.0 * 12 * width() * (double)ROUNDS * threads / seconds * 1e-9;
    if (rate > best) best = rate;
  }
  return best;
}

typedef struct {
  char *from, *to;
  size_t bytes;
} Copy;

static void *copy_thread(void *argument) {
  Copy *copy = argument;
  for (int i = 0; i < 4; i++) memcpy(copy->to, copy->from, copy->bytes);
  return NULL;
}

double apus_copy_bandwidth(int threads) {
  size_t bytes = (size_t)128 << 20;
  char *from = malloc(bytes), *to = malloc(bytes);
  if (!from || !to) return 0;
  memset(from, 1, bytes);
  memset(to, 2, bytes);
  Copy parts[256];
  size_t each = bytes / threads;
  for (int i = 0; i < threads; i++) parts[i] = (Copy){from + i * each, to + i * each, each};
  double best = 0;
  for (int repeat = 0; repeat < 5; repeat++) {
    double seconds = on_threads(threads, copy_thread, (char *)parts, sizeof(Copy));
    double rate = 2.0 * 4 * (double)each * threads / seconds * 1e-9;
    if (rate > best) best = rate;
  }
  free(from);
  free(to);
  return best;
}
