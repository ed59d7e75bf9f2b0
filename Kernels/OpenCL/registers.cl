// Register tiles of the convolutions for CPU kinds: their vectors and their extents.

// Vector registers across a panel of output channels.
#ifndef VECTORS
#define VECTORS 2
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
#define EACH(i, n) _Pragma("unroll") for (int i = 0; i < n; ++i)
