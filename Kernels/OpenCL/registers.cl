// Register tiles of the convolutions for CPU kinds: their vectors, their extents, and how functions are
// marked that hold one.

// Vector registers across a panel of output channels.
#ifndef VECTORS
#define VECTORS 2
#endif
#ifndef APUS_VECTOR_WIDTH
#define APUS_VECTOR_WIDTH 16
#endif
#if APUS_VECTOR_WIDTH >= 16
#define WIDTH 16
#define PIXELS 8
typedef float16 W;
#else
#define WIDTH 8
#define PIXELS 4
typedef float8 W;
#endif
#define PANEL (VECTORS * WIDTH)

// Some compilers take `vload16` and `vstore16` apart, but not the member of a packed struct.
typedef struct __attribute__((packed)) { W value; } UnalignedW;
typedef struct __attribute__((packed)) { V value; } UnalignedV;
#define LOAD_W(p) (((global const UnalignedW *)(p))->value)
#define LOAD_V(p) (((global const UnalignedV *)(p))->value)

#if defined(__has_attribute)
#if __has_attribute(__min_vector_width__)
#define WIDE __attribute__((__min_vector_width__(32 * WIDTH)))
#endif
#endif
#ifndef WIDE
#define WIDE
#endif
// The innermost loops get all registers to themselves.
#define SEPARATE static WIDE __attribute__((noinline))
#define INLINED inline __attribute__((always_inline))
#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define EACH(i, n) _Pragma("unroll") for (int i = 0; i < n; ++i)

// Whether the compiler offers `__builtin_prefetch`.
#ifndef APUS_PREFETCH
#define APUS_PREFETCH 0
#endif
#if APUS_PREFETCH
#define PREFETCH(p, writes) __builtin_prefetch((const void *)(size_t)(p), writes, 2)
#else
#define PREFETCH(p, writes)
#endif
