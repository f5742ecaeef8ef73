// The matrix product on a GPU: a group of work-items shares two tiles in local memory.
//
// Layout: any strides, in elements; A_K_UNIT and B_K_UNIT: 1 where an operand's stride along k is
//   1, so that neighbours in a group load neighbours in memory.
// Work size: (groups * BLOCK_COLUMNS / COLUMNS, BLOCK_ROWS / ROWS), a group for each block of
//   BLOCK_ROWS x BLOCK_COLUMNS of the product, its columns fastest, then rows, then batches.
//   An item holds ROWS x COLUMNS of it: neighbouring rows, and columns in vectors a group's width
//   apart. So it reads tiles as vectors, whose places in local memory are in different banks. While
//   it multiplies, what the next tiles hold is on its way from memory.
// Limits: ROWS divides BLOCK_ROWS, COLUMNS divides BLOCK_COLUMNS, powers of 2 all; what one group
//   reads of an operand for one block spans less than INDEX (int or long) can count.
// W is what sums are held in: C, or an unsigned integer of at least 32 bits, which wraps around.
// Names that end in a digit are the epilogue's.

kernel __attribute__((reqd_work_group_size(ITEMS_ACROSS, ITEMS_DOWN, 1)))
void matmul(global const S *restrict operand_a, global const S *restrict operand_b,
            const long m, const long n, const long size, const long inner,
            const long a_offset, const long a_outer, const long a_inner,
            const long a_row, const long a_step,
            const long b_offset, const long b_outer, const long b_inner,
            const long b_column, const long b_step
            EPILOGUE_PARAMETERS) {
    EPILOGUE_INIT
    local W a_tile[DEPTH][BLOCK_ROWS + GAP(ROWS)] __attribute__((aligned(16)));
    local W b_tile[DEPTH][BLOCK_COLUMNS + GAP(COLUMNS)] __attribute__((aligned(16)));
    const uint x = get_local_id(0), y = get_local_id(1), item = y * ITEMS_ACROSS + x;
    const long across = (n + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS;
    const long blocks = across * ((m + BLOCK_ROWS - 1) / BLOCK_ROWS);
    const long batch = get_group_id(0) / blocks, block = get_group_id(0) % blocks;
    const long top = block / across * BLOCK_ROWS, left = block % across * BLOCK_COLUMNS;
    const int height = min((long)BLOCK_ROWS, m - top), width = min((long)BLOCK_COLUMNS, n - left);
    global const S *a = FIRST + a_offset + batch / inner * a_outer + batch % inner * a_inner
                        + top * a_row;
    global const S *b = SECOND + b_offset + batch / inner * b_outer + batch % inner * b_inner
                        + left * b_column;
    const INDEX row_stride = a_row, a_k = a_step, column_stride = b_column, b_k = b_step;
    W sums[ROWS][COLUMNS], a_next[LOADS(BLOCK_ROWS)], b_next[LOADS(BLOCK_COLUMNS)];
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) sums[i][j] = 0;

    for (long start = -DEPTH; start < size; start += DEPTH) {
        if (start >= 0) {
            KEEP(a_tile, BLOCK_ROWS, A_K_UNIT, a_next)
            KEEP(b_tile, BLOCK_COLUMNS, B_K_UNIT, b_next)
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        const int depth = min((long)DEPTH, size - start - DEPTH);
        if (depth > 0) {
#pragma unroll
            for (uint u = 0; u < LOADS(BLOCK_ROWS); u++) {
                const int i = LINE(item + u * ITEMS, BLOCK_ROWS, A_K_UNIT);
                const int k = STEP(item + u * ITEMS, BLOCK_ROWS, A_K_UNIT);
                a_next[u] = i < height && k < depth ? (W)a[i * row_stride + k * a_k] : (W)0;
            }
#pragma unroll
            for (uint u = 0; u < LOADS(BLOCK_COLUMNS); u++) {
                const int j = LINE(item + u * ITEMS, BLOCK_COLUMNS, B_K_UNIT);
                const int k = STEP(item + u * ITEMS, BLOCK_COLUMNS, B_K_UNIT);
                b_next[u] = j < width && k < depth ? (W)b[j * column_stride + k * b_k] : (W)0;
            }
            a += DEPTH * a_step;
            b += DEPTH * b_step;
        }
        if (start >= 0) MULTIPLY(a_tile, y, b_tile, x)
        barrier(CLK_LOCAL_MEM_FENCE);
    }
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int j = 0; j < COLUMNS; j++) {
            const int down = y * ROWS + i, right = COLUMN(x, j);
            if (down < height && right < width) {
                EMIT((C)sums[i][j], batch, top + down, left + right);
            }
        }
}
