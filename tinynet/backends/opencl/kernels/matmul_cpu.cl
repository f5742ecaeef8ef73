// The matrix product on a CPU: one work-item does as much as a thread can keep in its caches.
//
// Layout: any strides, in elements. A_K_UNIT, A_ROW_UNIT, B_K_UNIT, B_COLUMN_UNIT: 1 where a
//   factor's stride along k, its rows or its columns is 1.
// Method (Goto & van de Geijn 2008): for every `deep` of k, copy what a block of the product needs
//   of both factors, tile by tile, then multiply tiles of ROWS x COLUMNS in registers. Rows and
//   columns past the edge repeat the last one and are not stored. A factor with A_IN_PLACE or
//   B_IN_PLACE is not copied: its tiles are read where they lie.
// TASK, the kernel: MATMUL copies to private memory, a block at a time. For large products
//   PACK_ROWS and PACK_COLUMNS first copy a whole factor to scratch memory: batches, each of
//   ceil(size / deep) parts, each of all tiles; MATMUL with IS_PACKED takes what is not in place
//   from there. DOTS is for few rows along k, MATVEC for a vector.
// Work size: one item, a group of its own, for each block of `rows` x `columns` of the product,
//   its columns fastest, then rows, then batches; PACK: for `lines` of each part of each batch.
// Limits: ROWS divides BLOCK_ROWS and `rows`, WIDTH divides COLUMNS, COLUMNS divides BLOCK_COLUMNS
//   and `columns`; blocks have at most BLOCK_ROWS x BLOCK_COLUMNS, `deep` is at most DEPTH.
//   A_IN_PLACE needs A_K_UNIT; B_IN_PLACE needs B_COLUMN_UNIT and an n that COLUMNS divides.
//   fma(), mad() and vloadn() are slow on PoCL 3.0, hence none of them.
// Names that end in a digit are the epilogue's.

#define MATMUL 1
#define PACK_ROWS 2
#define PACK_COLUMNS 3
#define MATVEC 4
#define DOTS 5

#define FACTOR(x)                                                                        \
    const long x##_offset, const long x##_outer, const long x##_inner, const long x##_line, \
        const long x##_step
#define BATCH(buffer, x) \
    ((buffer) + x##_offset + batch / inner * x##_outer + batch % inner * x##_inner)
#define PARAMETERS                                                                          \
    global const S *restrict operand_a, global const S *restrict operand_b, const long m,   \
        const long n, const long size, const long inner, FACTOR(a), FACTOR(b), const int rows, \
        const int columns, const int deep EPILOGUE_PARAMETERS

#define FIND_BLOCK                                                                   \
    const long across = (n + columns - 1) / columns;                                 \
    const long blocks = across * ((m + rows - 1) / rows);                            \
    const long batch = get_global_id(0) / blocks, block = get_global_id(0) % blocks; \
    const long top = block / across * rows, left = block % across * columns;         \
    const int height = LEAST(rows, m - top), width = LEAST(columns, n - left);

#if TASK != MATVEC && TASK != DOTS

#if TASK == MATMUL && !IS_PACKED
#define SPACE private
#else
#define SPACE global
#endif
#define VECTORS_ACROSS (COLUMNS / WIDTH)
// A tile has for each k its lines side by side. What it has more than that takes what a vector
// store writes past the last line, and keeps tiles off the same few lines of the cache.
#define TILE(lines) ((DEPTH + (WIDTH + (lines) - 1) / (lines)) * (lines))
#define FEW 8  // of k are copied from all lines before the next, so that stores are close by
#define A_TILE TILE(ROWS)
#define B_TILE TILE(COLUMNS)

// One tile from memory with stride 1 along k; returns how much of k it did. Vectors that reach
// past the tile's lines spoil the first ones of the next k, which are written later.
static inline int copy_along_k(SPACE U *restrict tile, global const U *restrict from, const int lines,
                        const int count, const int depth, const long line) {
    int done = 0;
    for (int l = (lines - 1) / WIDTH * WIDTH; l >= 0; l -= WIDTH) {
        global const U *restrict x_from[WIDTH];
#pragma unroll
        for (int i = 0; i < WIDTH; i++) x_from[i] = from + LEAST(l + i, count - 1) * line;
        for (done = 0; done + WIDTH <= depth; done += WIDTH) {
            VECTOR x[WIDTH];
#pragma unroll
            for (int i = 0; i < WIDTH; i++) x[i] = *(global const loose *)(x_from[i] + done);
            transpose(x, WIDTH);
#pragma unroll
            for (int i = 0; i < WIDTH; i++)
                *(SPACE loose *)(tile + (done + i) * lines + l) = x[i];
        }
    }
    return done;
}

// `count` lines of `depth` to tiles of `lines`; the last line is repeated in the last tile.
static inline void copy(SPACE U *restrict tiles, global const U *restrict from, const int lines,
                 const int count, const int depth, const long line, const long step,
                 const bool is_k_unit, const bool is_line_unit) {
    const int wide = (lines + WIDTH - 1) / WIDTH * WIDTH;
    int done = 0;
    if (is_line_unit) {
        done = count < wide ? 0 : ((count - wide) / lines + 1) * lines;
        for (int part = 0; part < depth; part += FEW)
            for (int i = 0; i < done; i += lines)
                for (int k = part; k < LEAST(part + FEW, depth); k++)
#pragma unroll
                    for (int l = 0; l < lines; l += WIDTH)
                        *(SPACE loose *)(tiles + i / lines * TILE(lines) + k * lines + l) =
                            *(global const loose *)(from + k * step + i + l);
    }
    for (; done < count; done += lines) {
        SPACE U *restrict tile = tiles + done / lines * TILE(lines);
        global const U *restrict start = from + done * line;
        int first = 0;
        if (is_k_unit) first = copy_along_k(tile, start, lines, count - done, depth, line);
        for (int l = 0; l < lines; l++) {
            global const U *restrict rest = start + LEAST(l, count - done - 1) * line;
            for (int k = first; k < depth; k++) tile[k * lines + l] = rest[k * step];
        }
    }
}

OUTLINED void copy_rows(SPACE U *tiles, global const U *a, const int count, const int depth,
                        const long line, const long step) {
    copy(tiles, a, ROWS, count, depth, line, step, A_K_UNIT, A_ROW_UNIT);
}

OUTLINED void copy_columns(SPACE U *tiles, global const U *b, const int count, const int depth,
                           const long line, const long step) {
    copy(tiles, b, COLUMNS, count, depth, line, step, B_K_UNIT, B_COLUMN_UNIT);
}

#if TASK == MATMUL
#if A_IN_PLACE
#define A_ELEMENT(i, k) lines[i][k]
#define A_PART(i) (a + (i) * a_line + start)
#define A_PLACE global const U *restrict
#else
#define A_ELEMENT(i, k) a[(k) * ROWS + (i)]
#define A_PART(i) (a_tiles + (i) / ROWS * A_TILE)
#define A_PLACE SPACE const U *restrict
#endif
#if B_IN_PLACE
#define B_VECTOR(k, j) *(global const loose *)(b + (k) * b_step + (j))
#define B_PART(j) (b + (j) + start * b_step)
#define B_PLACE global const U *restrict
#else
#define B_VECTOR(k, j) *(SPACE const VECTOR *)(b + (k) * COLUMNS + (j))
#define B_PART(j) (b_tiles + (j) / COLUMNS * B_TILE)
#define B_PLACE SPACE const U *restrict
#endif

// sum (+)= a tile of ROWS x depth by one of depth x COLUMNS. In place, A has `count` rows.
OUTLINED void multiply(U *restrict sum, A_PLACE a, const int count, const long a_line, B_PLACE b,
                       const long b_step, const int depth, const bool is_first) {
#if A_IN_PLACE
    A_PLACE lines[ROWS];
#pragma unroll
    for (int i = 0; i < ROWS; i++) lines[i] = a + LEAST(i, count - 1) * a_line;
#endif
    VECTOR c[ROWS][VECTORS_ACROSS];
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int j = 0; j < VECTORS_ACROSS; j++)
            c[i][j] = is_first ? (VECTOR)(0) : *(VECTOR *)(sum + i * COLUMNS + j * WIDTH);
#pragma unroll 4  // 1.05 times as quick
    for (int k = 0; k < depth; k++) {
        VECTOR y[VECTORS_ACROSS];
#pragma unroll
        for (int j = 0; j < VECTORS_ACROSS; j++)
            y[j] = B_VECTOR(k, j * WIDTH);
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            const U x = A_ELEMENT(i, k);
#pragma unroll
            for (int j = 0; j < VECTORS_ACROSS; j++) c[i][j] += x * y[j];
        }
    }
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int j = 0; j < VECTORS_ACROSS; j++)
            *(VECTOR *)(sum + i * COLUMNS + j * WIDTH) = c[i][j];
}

kernel ONE_ITEM void matmul(PARAMETERS) {
    EPILOGUE_INIT
    FIND_BLOCK
    U sums[BLOCK_ROWS * BLOCK_COLUMNS] __attribute__((aligned(64)));
#if IS_PACKED && !A_IN_PLACE
    const long a_part = (m + ROWS - 1) / ROWS * A_TILE;
    global const U *restrict a_tiles = (global const U *)BATCH(FIRST, a) + top / ROWS * A_TILE;
#else
    global const U *restrict a = (global const U *)BATCH(FIRST, a) + top * a_line;
#endif
#if IS_PACKED && !B_IN_PLACE
    const long b_part = (n + COLUMNS - 1) / COLUMNS * B_TILE;
    global const U *restrict b_tiles =
        (global const U *)BATCH(SECOND, b) + left / COLUMNS * B_TILE;
#else
    global const U *restrict b = (global const U *)BATCH(SECOND, b) + left * b_line;
#endif
#if !IS_PACKED && !A_IN_PLACE
    U a_tiles[BLOCK_ROWS / ROWS * A_TILE] __attribute__((aligned(64)));
#endif
#if !IS_PACKED && !B_IN_PLACE
    U b_tiles[BLOCK_COLUMNS / COLUMNS * B_TILE] __attribute__((aligned(64)));
#endif

    for (long start = 0; start < size; start += deep) {
        const int depth = min((long)deep, size - start);
#if !IS_PACKED && !A_IN_PLACE
        copy_rows(a_tiles, a + start * a_step, height, depth, a_line, a_step);
#endif
#if !IS_PACKED && !B_IN_PLACE
        copy_columns(b_tiles, b + start * b_step, width, depth, b_line, b_step);
#endif
        for (int j = 0; j < width; j += COLUMNS)
            for (int i = 0; i < height; i += ROWS) {
                U *sum = size > deep ? sums + i * BLOCK_COLUMNS + j * ROWS : sums;
                multiply(sum, A_PART(i), height - i, a_line, B_PART(j), b_step, depth, start == 0);
                if (start + deep < size) continue;
                for (int r = 0; r < LEAST(ROWS, height - i); r++, sum += COLUMNS)
                    if (width - j >= COLUMNS)
                        for (int q = 0; q < COLUMNS; q++) {
                            EMIT((C)sum[q], batch, top + i + r, left + j + q);
                        }
                    else
                        for (int q = 0; q < width - j; q++) {
                            EMIT((C)sum[q], batch, top + i + r, left + j + q);
                        }
            }
#if IS_PACKED && !A_IN_PLACE
        a_tiles += a_part;
#endif
#if IS_PACKED && !B_IN_PLACE
        b_tiles += b_part;
#endif
    }
}
#else
#if TASK == PACK_ROWS
#define COPY copy_rows
#define LINES ROWS
#else
#define COPY copy_columns
#define LINES COLUMNS
#endif
kernel ONE_ITEM void pack(global const S *restrict operand, global U *restrict tiles, const long count,
          const long size, const long inner, FACTOR(x), const int lines, const int deep) {
    const long blocks = (count + lines - 1) / lines, parts = (size + deep - 1) / deep;
    const long batch = get_global_id(0) / (blocks * parts);
    const long part = get_global_id(0) / blocks % parts;
    const long first = get_global_id(0) % blocks * lines, start = part * deep;
    const long all = (count + LINES - 1) / LINES;
    COPY(tiles + ((batch * parts + part) * all + first / LINES) * TILE(LINES),
         (global const U *)BATCH(operand, x) + first * x_line + start * x_step,
         min((long)lines, count - first), min((long)deep, size - start), x_line, x_step);
}
#endif

#elif TASK == DOTS
// sums = dot products of ROWS lines of A with COLUMNS lines of B, of which there may be fewer.
OUTLINED void multiply(U *restrict sums, global const U *restrict a, const int a_count,
                       const long a_line, global const U *restrict b, const int b_count,
                       const long b_line, const long size) {
    VECTOR c[ROWS][COLUMNS];
    global const U *restrict rows[ROWS];
    global const U *restrict columns[COLUMNS];
#pragma unroll
    for (int i = 0; i < ROWS; i++) rows[i] = a + LEAST(i, a_count - 1) * a_line;
#pragma unroll
    for (int j = 0; j < COLUMNS; j++) columns[j] = b + LEAST(j, b_count - 1) * b_line;
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int j = 0; j < COLUMNS; j++) c[i][j] = (VECTOR)(0);
    long k = 0;
    for (; k + WIDTH <= size; k += WIDTH) {
        VECTOR y[COLUMNS];
#pragma unroll
        for (int j = 0; j < COLUMNS; j++) y[j] = *(global const loose *)(columns[j] + k);
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            const VECTOR x = *(global const loose *)(rows[i] + k);
#pragma unroll
            for (int j = 0; j < COLUMNS; j++) c[i][j] += x * y[j];
        }
    }
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int j = 0; j < COLUMNS; j++) {
            U sum = 0;
            U parts[WIDTH] __attribute__((aligned(64)));
            *(VECTOR *)parts = c[i][j];
#pragma unroll
            for (int w = 0; w < WIDTH; w++) sum += parts[w];
            for (long rest = k; rest < size; rest++)
                sum += (U)((U)rows[i][rest] * (U)columns[j][rest]);
            sums[i * COLUMNS + j] = sum;
        }
}

// Both factors have stride 1 along k: nothing is copied. For few rows, and for a vector.
kernel ONE_ITEM void matmul(PARAMETERS) {
    EPILOGUE_INIT
    FIND_BLOCK
    global const U *restrict a = (global const U *)BATCH(FIRST, a) + top * a_line;
    global const U *restrict b = (global const U *)BATCH(SECOND, b) + left * b_line;
    U sums[ROWS * COLUMNS];
    for (int j = 0; j < width; j += COLUMNS)
        for (int i = 0; i < height; i += ROWS) {
            multiply(sums, a + i * a_line, height - i, a_line, b + j * b_line, width - j, b_line,
                     size);
            for (int r = 0; r < LEAST(ROWS, height - i); r++)
                for (int q = 0; q < LEAST(COLUMNS, width - j); q++) {
                    EMIT((C)sums[r * COLUMNS + q], batch, top + i + r, left + j + q);
                }
        }
}

#else
// Matrix by vector, where columns of the matrix have stride 1: a work-item makes `rows` elements.
kernel ONE_ITEM void matmul(PARAMETERS) {
    EPILOGUE_INIT
    const long blocks = (m + rows - 1) / rows;
    const long batch = get_global_id(0) / blocks, top = get_global_id(0) % blocks * rows;
    const int height = min((long)rows, m - top);
    global const S *restrict a = BATCH(FIRST, a) + top * a_line;
    global const S *restrict b = BATCH(SECOND, b);
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
}
#endif
