// One pool of threads for the process. Workers spin for a moment after a job, for the next one often
// follows at once, then sleep on a condition variable. Pieces are handed out by a counter, so a worker
// that the system does not schedule in time delays nothing: the caller takes its pieces.
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include "CVector.h"

#include "CProcessors.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_THREADS = 256, SPIN_NANOSECONDS = 40000 };

static struct {
  // The job; written by the owner while `open` is false and no worker is inside.
  apus_body body;
  void *context;
  ptrdiff_t count, grain;
  _Atomic ptrdiff_t next;
  char pad0[64];
  _Atomic unsigned epoch;
  atomic_bool open;
  _Atomic int limit;
  char pad1[64];
  _Atomic int inside;
  char pad2[64];
  _Atomic int sleepers;
  pthread_mutex_t owner, sleep;
  pthread_cond_t wake;
  int threads;
} pool = {.owner = PTHREAD_MUTEX_INITIALIZER,
          .sleep = PTHREAD_MUTEX_INITIALIZER,
          .wake = PTHREAD_COND_INITIALIZER};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local bool is_inside_body;

static inline void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static int64_t nanoseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void take_pieces(void) {
  const ptrdiff_t pieces = (pool.count + pool.grain - 1) / pool.grain;
  for (;;) {
    const ptrdiff_t piece = atomic_fetch_add_explicit(&pool.next, 1, memory_order_relaxed);
    if (piece >= pieces) return;
    const ptrdiff_t begin = piece * pool.grain;
    const ptrdiff_t end = begin + pool.grain < pool.count ? begin + pool.grain : pool.count;
    pool.body(pool.context, begin, end);
  }
}

static void await_job(unsigned seen) {
  const int64_t start = nanoseconds();
  for (int spin = 0;; spin++) {
    if (atomic_load_explicit(&pool.epoch, memory_order_acquire) != seen) return;
    relax();
    if (spin % 64 == 63 && nanoseconds() - start > SPIN_NANOSECONDS) break;
  }
  pthread_mutex_lock(&pool.sleep);
  atomic_fetch_add(&pool.sleepers, 1);
  while (atomic_load(&pool.epoch) == seen) pthread_cond_wait(&pool.wake, &pool.sleep);
  atomic_fetch_sub(&pool.sleepers, 1);
  pthread_mutex_unlock(&pool.sleep);
}

static void *work(void *argument) {
  const int index = (int)(intptr_t)argument;
  is_inside_body = true;
  unsigned seen = 0;
  for (;;) {
    await_job(seen);
    seen = atomic_load(&pool.epoch);
    // A worker enters before it looks whether the job is still open, and the owner closes it before
    // it looks whether someone is inside: one of the two always sees the other.
    atomic_fetch_add(&pool.inside, 1);
    if (atomic_load(&pool.open) && index < atomic_load(&pool.limit)) take_pieces();
    atomic_fetch_sub(&pool.inside, 1);
  }
  return NULL;
}

static void start(void) {
  int threads = apus_usable_processors();
  const char *wanted = getenv("APUS_NUM_THREADS");
  if (wanted && atoi(wanted) > 0) threads = atoi(wanted);
  if (threads < 1) threads = 1;
  if (threads > MAX_THREADS) threads = MAX_THREADS;
  pool.threads = 1;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  // Inner libraries keep large frames.
  pthread_attr_setstacksize(&attributes, 4 << 20);
  for (int index = 1; index < threads; index++) {
    pthread_t thread;
    if (pthread_create(&thread, &attributes, work, (void *)(intptr_t)index) != 0) break;
    pool.threads++;
  }
  pthread_attr_destroy(&attributes);
  atomic_store(&pool.limit, pool.threads);
}

int apus_thread_count(void) {
  pthread_once(&once, start);
  return atomic_load(&pool.limit);
}

int apus_pool_size(void) {
  pthread_once(&once, start);
  return pool.threads;
}

void apus_limit_threads(int threads) {
  pthread_once(&once, start);
  atomic_store(&pool.limit, threads < 1 || threads > pool.threads ? pool.threads : threads);
}

void apus_parallel_for(ptrdiff_t count, ptrdiff_t grain, apus_body body, void *context) {
  if (count <= 0) return;
  if (grain < 1) grain = 1;
  pthread_once(&once, start);
  if (count <= grain || is_inside_body || atomic_load_explicit(&pool.limit, memory_order_relaxed) == 1 ||
      pthread_mutex_trylock(&pool.owner) != 0) {
    // The same pieces as on many threads, so that partial results are the same.
    for (ptrdiff_t begin = 0; begin < count; begin += grain)
      body(context, begin, begin + grain < count ? begin + grain : count);
    return;
  }
  pool.body = body;
  pool.context = context;
  pool.count = count;
  pool.grain = grain;
  atomic_store_explicit(&pool.next, 0, memory_order_relaxed);
  atomic_store(&pool.open, true);
  atomic_fetch_add(&pool.epoch, 1);
  if (atomic_load(&pool.sleepers) > 0) {
    pthread_mutex_lock(&pool.sleep);
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.sleep);
  }
  is_inside_body = true;
  take_pieces();
  is_inside_body = false;
  atomic_store(&pool.open, false);
  for (int spin = 0; atomic_load(&pool.inside) > 0; spin++) {
    relax();
    // The worker inside may need this very core.
    if (spin > 2000) sched_yield();
  }
  pthread_mutex_unlock(&pool.owner);
}
