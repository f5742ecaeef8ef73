// What the products of convolution_gpu.cl and matmul_gpu.cl have in common: tiles in local memory.
//
// A tile is DEPTH steps of BLOCK_ROWS or BLOCK_COLUMNS `lines`, held as [step][line]. ITEMS
// work-items fill it; ITEMS_ACROSS x ITEMS_DOWN of them multiply two, ROWS x COLUMNS sums each.

#define ITEMS_ACROSS (BLOCK_COLUMNS / COLUMNS)
#define ITEMS_DOWN (BLOCK_ROWS / ROWS)
#define ITEMS (ITEMS_ACROSS * ITEMS_DOWN)
#define GAP(lines) ((lines) % 4 ? 1 : 4)  // between lines of a tile: against conflicts, but aligned
#define WIDTH (COLUMNS % 4 ? COLUMNS : 4)  // columns of an item that are neighbours
#define COLUMN(across, j) ((j) / WIDTH * (ITEMS_ACROSS * WIDTH) + (across) * WIDTH + (j) % WIDTH)

// How many elements of a tile an item loads, and where in the tile the group's load number `e` goes.
#define LOADS(lines) (((lines) * DEPTH + ITEMS - 1) / ITEMS)
#define LINE(e, lines, step_first) ((step_first) ? (e) / DEPTH : (e) % (lines))
#define STEP(e, lines, step_first) ((step_first) ? (e) % DEPTH : (e) / (lines))
#define IS_LOAD(e, lines) ((lines) * DEPTH % ITEMS == 0 || (e) < (lines) * DEPTH)

// Put what an item has loaded into a tile.
#define KEEP(tile, lines, step_first, loaded)                                    \
    _Pragma("unroll") for (uint u = 0; u < LOADS(lines); u++) {                  \
        const uint e = item + u * ITEMS;                                         \
        if (IS_LOAD(e, lines))                                                   \
            tile[STEP(e, lines, step_first)][LINE(e, lines, step_first)] = loaded[u]; \
    }

// Add the products of an item's rows and columns to its sums.
#define MULTIPLY(row_tile, down, column_tile, across)                            \
    {                                                                            \
        _Pragma("unroll 4") for (int s = 0; s < DEPTH; s++) {                    \
            W lines[ROWS], values[COLUMNS];                                      \
            _Pragma("unroll") for (int i = 0; i < ROWS; i++)                     \
                lines[i] = row_tile[s][(down) * ROWS + i];                       \
            _Pragma("unroll") for (int j = 0; j < COLUMNS; j++)                  \
                values[j] = column_tile[s][COLUMN(across, j)];                  \
            _Pragma("unroll") for (int i = 0; i < ROWS; i++)                     \
                _Pragma("unroll") for (int j = 0; j < COLUMNS; j++)              \
                    sums[i][j] += lines[i] * values[j];                          \
        }                                                                        \
    }
