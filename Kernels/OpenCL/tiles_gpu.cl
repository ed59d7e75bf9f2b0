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
