// Where an item of a work-group of 16 x 16 works in a tile, for GPU kinds. By rows, or by warps: 32 items that
// run together take 4 rows of 8, and so read 12 quads of local memory for each step of the depth instead
// of 18.
#if WARPS
#define TILE_COLUMN(item) ((item) % 8 + (item) / 32 % 2 * 8)
#define TILE_ROW(item) ((item) / 8 % 4 + (item) / 64 * 4)
#else
#define TILE_COLUMN(item) ((item) % 16)
#define TILE_ROW(item) ((item) / 16)
#endif

// Up to `count` elements `step` apart, the others 0.
inline float4 load_quad(global const float *p, int step, int count, int is_aligned) {
  if (is_aligned && count >= 4) return *(global const float4 *)p;
  float4 quad = (float4)(0.0f);
  if (count > 0) quad.x = p[0];
  if (count > 1) quad.y = p[step];
  if (count > 2) quad.z = p[2 * step];
  if (count > 3) quad.w = p[3 * step];
  return quad;
}
