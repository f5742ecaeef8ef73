// The matrix product on a CPU: one work-item does as much as a thread can keep in its caches.
//
// Layout: any strides, in elements. A_K_UNIT, A_ROW_UNIT, B_K_UNIT, B_COLUMN_UNIT: 1 where an
//   operand's stride along k, its rows or its columns is 1.
// Work size: one item, a group of its own, for each block of `rows` x `columns` of the product,
//   its columns fastest, then rows, then batches.
// Method (Goto & van de Geijn 2008): for every DEPTH of k, copy what the block needs of both
//   operands to private memory, tile by tile, then multiply tiles of ROWS x COLUMNS in registers.
//   Rows and columns past the edge repeat the last one and are not stored.
// Limits: ROWS divides BLOCK_ROWS and `rows`, WIDTH divides COLUMNS, COLUMNS divides BLOCK_COLUMNS
//   and `columns`; blocks have at most BLOCK_ROWS x BLOCK_COLUMNS. fma(), mad() and vloadn() are
//   slow on PoCL 3.0, hence none of them.
// The epilogue's names are its own: here no name ends in a digit.

typedef VECTOR loose __attribute__((aligned(sizeof(U))));  // a vector anywhere in memory

#define PARAMETERS                                                                              \
    global const S *restrict operand_a, global const S *restrict operand_b, const long m,              \
        const long n, const long size, const long inner, const long a_offset,                   \
        const long a_outer, const long a_inner, const long a_row, const long a_step,            \
        const long b_offset, const long b_outer, const long b_inner, const long b_column,       \
        const long b_step, const int rows, const int columns EPILOGUE_PARAMETERS

#if !IS_VECTOR

#define VECTORS (COLUMNS / WIDTH)
#define B_TILE ((DEPTH + 1) * COLUMNS)
#define B_AT(j, k) ((j) / COLUMNS * B_TILE + (k) * COLUMNS + (j) % COLUMNS)
#define OUTLINED __attribute__((noinline))
// Where a tile keeps element k of row i: in the order of memory, so that packing only copies.
// Rows are WIDTH apart more than need be, or all would fall on the same few lines of the cache.
#define A_TILE (ROWS * (DEPTH + WIDTH))
#if A_ROW_UNIT
#define A_AT(i, k) ((k) * ROWS + (i))
#else
#define A_AT(i, k) ((i) * (DEPTH + WIDTH) + (k))
#endif

// `count` rows of `depth` to tiles of ROWS.
OUTLINED void pack_rows(U *restrict tiles, global const S *restrict a, const int count,
                        const int depth, const long row, const long step) {
    const int end = (count + ROWS - 1) / ROWS * ROWS;
#if A_ROW_UNIT
    for (int k = 0; k < depth; k++, a += step) {
        int i = 0;
        for (; i + WIDTH <= count; i += ROWS)  // what is too much the next k overwrites
            *(loose *)(tiles + i / ROWS * A_TILE + A_AT(0, k)) = *(global const loose *)(a + i);
        for (; i < end; i++) tiles[i / ROWS * A_TILE + A_AT(i % ROWS, k)] = (U)a[min(i, count - 1)];
    }
#else
    for (int i = 0; i < end; i++) {
        global const S *restrict from = a + min(i, count - 1) * row;
        U *restrict to = tiles + i / ROWS * A_TILE + A_AT(i % ROWS, 0);
        for (int k = 0; k < depth; k++) to[k] = (U)from[A_K_UNIT ? k : k * step];
    }
#endif
}

// WIDTH vectors become the columns of what they were the rows of: log2(WIDTH) perfect shuffles.
inline void transpose(VECTOR *x) {
#pragma unroll
    for (int round = 1; round < WIDTH; round *= 2) {
        VECTOR y[WIDTH];
#pragma unroll
        for (int i = 0; i < WIDTH / 2; i++) {
            y[2 * i].even = x[i].lo;
            y[2 * i].odd = x[i + WIDTH / 2].lo;
            y[2 * i + 1].even = x[i].hi;
            y[2 * i + 1].odd = x[i + WIDTH / 2].hi;
        }
#pragma unroll
        for (int i = 0; i < WIDTH; i++) x[i] = y[i];
    }
}

// `count` columns of `depth` to tiles of COLUMNS.
OUTLINED void pack_columns(U *restrict tiles, global const S *restrict b, const int count,
                           const int depth, const long column, const long step) {
    const int end = (count + COLUMNS - 1) / COLUMNS * COLUMNS;
#if B_COLUMN_UNIT
    for (int k = 0; k < depth; k++, b += step) {
        int j = 0;
        for (; j + WIDTH <= count; j += WIDTH)
            *(VECTOR *)(tiles + B_AT(j, k)) = *(global const loose *)(b + j);
        for (; j < end; j++) tiles[B_AT(j, k)] = (U)b[min(j, count - 1)];
    }
#else
    for (int j = 0; j < end; j += WIDTH) {
        int k = 0;
        for (; B_K_UNIT && j + WIDTH <= count && k + WIDTH <= depth; k += WIDTH) {
            VECTOR x[WIDTH];
#pragma unroll
            for (int w = 0; w < WIDTH; w++)
                x[w] = *(global const loose *)(b + (j + w) * column + k);
            transpose(x);
#pragma unroll
            for (int w = 0; w < WIDTH; w++) *(VECTOR *)(tiles + B_AT(j, k + w)) = x[w];
        }
        for (int w = 0; w < WIDTH; w++)
            for (int r = k; r < depth; r++)
                tiles[B_AT(j + w, r)] = (U)b[min(j + w, count - 1) * column + r * step];
    }
#endif
}

// sum (+)= a tile of ROWS x depth by one of depth x COLUMNS.
OUTLINED void multiply(U *restrict sum, const U *restrict a, const U *restrict b,
                       const int depth, const bool is_first) {
    VECTOR c[ROWS][VECTORS];
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int j = 0; j < VECTORS; j++)
            c[i][j] = is_first ? (VECTOR)(0) : *(VECTOR *)(sum + i * COLUMNS + j * WIDTH);
    for (int k = 0; k < depth; k++) {
        VECTOR y[VECTORS];
#pragma unroll
        for (int j = 0; j < VECTORS; j++) y[j] = *(const VECTOR *)(b + k * COLUMNS + j * WIDTH);
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            const U x = a[A_AT(i, k)];
#pragma unroll
            for (int j = 0; j < VECTORS; j++) c[i][j] += x * y[j];
        }
    }
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int j = 0; j < VECTORS; j++) *(VECTOR *)(sum + i * COLUMNS + j * WIDTH) = c[i][j];
}

kernel __attribute__((reqd_work_group_size(1, 1, 1))) void matmul(PARAMETERS) {
    EPILOGUE_INIT
    const long across = (n + columns - 1) / columns;
    const long blocks = across * ((m + rows - 1) / rows);
    const long batch = get_global_id(0) / blocks, block = get_global_id(0) % blocks;
    const long top = block / across * rows, left = block % across * columns;
    const int height = min((long)rows, m - top), width = min((long)columns, n - left);
    global const S *restrict a = FIRST + a_offset + batch / inner * a_outer
                                 + batch % inner * a_inner + top * a_row;
    global const S *restrict b = SECOND + b_offset + batch / inner * b_outer
                                 + batch % inner * b_inner + left * b_column;
    U a_tiles[BLOCK_ROWS / ROWS * A_TILE] __attribute__((aligned(64)));
    U b_tiles[BLOCK_COLUMNS / COLUMNS * B_TILE] __attribute__((aligned(64)));
    U sums[BLOCK_ROWS * BLOCK_COLUMNS] __attribute__((aligned(64)));

    for (long start = 0; start < size; start += DEPTH) {
        const int depth = min((long)DEPTH, size - start);
        pack_rows(a_tiles, a + start * a_step, height, depth, a_row, a_step);
        pack_columns(b_tiles, b + start * b_step, width, depth, b_column, b_step);
        for (int j = 0; j < width; j += COLUMNS)
            for (int i = 0; i < height; i += ROWS) {
                U *sum = sums + i * BLOCK_COLUMNS + j * ROWS;
                multiply(sum, a_tiles + i / ROWS * A_TILE, b_tiles + j / COLUMNS * B_TILE, depth,
                         start == 0);
                if (start + DEPTH < size) continue;
                for (int r = 0; r < min(ROWS, height - i); r++, sum += COLUMNS)
                    if (width - j >= COLUMNS)
                        for (int q = 0; q < COLUMNS; q++) {
                            EMIT((C)sum[q], batch, top + i + r, left + j + q);
                        }
                    else
                        for (int q = 0; q < width - j; q++) {
                            EMIT((C)sum[q], batch, top + i + r, left + j + q);
                        }
            }
    }
}

#else
// Matrix by vector (n is 1, b_step is 1 unless A_ROW_UNIT): a work-item makes `rows` elements.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void matmul(PARAMETERS) {
    EPILOGUE_INIT
    const long blocks = (m + rows - 1) / rows;
    const long batch = get_global_id(0) / blocks, top = get_global_id(0) % blocks * rows;
    const int height = min((long)rows, m - top);
    global const S *restrict a = FIRST + a_offset + batch / inner * a_outer
                                 + batch % inner * a_inner + top * a_row;
    global const S *restrict b = SECOND + b_offset + batch / inner * b_outer
                                 + batch % inner * b_inner;
#if A_ROW_UNIT
    U sums[BLOCK_ROWS] __attribute__((aligned(64)));
    for (int i = 0; i < height; i++) sums[i] = 0;
    long start = 0;
    for (; start + ROWS <= size; start += ROWS, a += ROWS * a_step, b += ROWS * b_step)
        for (int i = 0; i < height; i++) {
            U sum = sums[i];
#pragma unroll
            for (int k = 0; k < ROWS; k++) sum += (U)((U)a[k * a_step + i] * (U)b[k * b_step]);
            sums[i] = sum;
        }
    for (; start < size; start++, a += a_step, b += b_step)
        for (int i = 0; i < height; i++) sums[i] += (U)((U)a[i] * (U)b[0]);
    for (int i = 0; i < height; i++) {
        EMIT((C)sums[i], batch, top + i, 0);
    }
#else
    for (int i = 0; i < height; i += ROWS) {
        VECTOR sums[ROWS];
        global const S *restrict from[ROWS];
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            sums[r] = (VECTOR)(0);
            from[r] = a + min(i + r, height - 1) * a_row;
        }
        long k = 0;
        for (; k + WIDTH <= size; k += WIDTH) {
            const VECTOR y = *(global const loose *)(b + k);
#pragma unroll
            for (int r = 0; r < ROWS; r++) sums[r] += y * *(global const loose *)(from[r] + k);
        }
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            U sum = 0;
            U parts[WIDTH] __attribute__((aligned(64)));
            *(VECTOR *)parts = sums[r];
            for (int w = 0; w < WIDTH; w++) sum += parts[w];
            for (long rest = k; rest < size; rest++) sum += (U)((U)from[r][rest] * (U)b[rest]);
            if (i + r < height) {
                EMIT((C)sum, batch, top + i + r, 0);
            }
        }
    }
#endif
}
#endif
