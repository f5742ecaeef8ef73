// Long short-term memory on a CPU: each work-item takes some sequences through all time steps, so
// that a step needs no launch, and no waiting for the others.
//
// Layout: row-major. Row `t * n + s` belongs to time step t of sequence s; `gates`, `sums` and
//   their gradients have 4 * hidden columns: input gate, forget gate, candidate, output gate.
// Method: PACK copies the factor that all steps share to panels of COLUMNS columns, line by line,
//   with zeros past the edge. A product goes over panels, and in each over tiles of ROWS x COLUMNS
//   in registers, for DEPTH of k at a time, which stay in the first cache meanwhile.
// Work size: one item, a group of its own, for `share` sequences; PACK: for a panel.
// Macros: a kernel's name in capitals: the others are not compiled.

#define ROWS 4
#define WIDTH 8
#define VECTORS 3
#define COLUMNS (VECTORS * WIDTH)
#define DEPTH 256

typedef float8 loose __attribute__((aligned(4)));  // a vector anywhere in memory

#define AT(T, pointer, index) (*(global T *)((pointer) + (index)))

#ifdef PACK
// The factor's element (k, j) is at `k * k_step + j * column_step`.
kernel void pack(global const float *restrict factor, global float *restrict panels, const int size,
                 const int columns, const long k_step, const long column_step) {
    const int first = get_global_id(0) * COLUMNS;
    const int count = LEAST(COLUMNS, columns - first);
    global const float *restrict from = factor + first * column_step;
    global float *restrict panel = panels + (long)first * size;
    if (count < COLUMNS)
        for (long i = 0; i < (long)size * COLUMNS; i++) panel[i] = 0;
    if (column_step == 1) {
        for (int k = 0; k < size; k++)
            for (int j = 0; j < count; j++) panel[k * COLUMNS + j] = from[k * k_step + j];
    } else {
        for (int j = 0; j < count; j++)
            for (int k = 0; k < size; k++)
                panel[k * COLUMNS + j] = from[j * column_step + k * k_step];
    }
}
#else

// `y = a @ panel`, or `y += ...` behind the first of k, for a tile of which `rows` and `columns`
// are stored.
static __attribute__((noinline)) void tile(global float *restrict y, const long y_row,
                                           global const float *restrict a, const long a_row,
                                           global const float *restrict panel, const int size,
                                           const int rows, const int columns, const int is_first) {
    global const float *restrict line[ROWS];
    float8 sums[ROWS][VECTORS];
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        line[i] = a + LEAST(i, rows - 1) * a_row;
#pragma unroll
        for (int j = 0; j < VECTORS; j++) sums[i][j] = (float8)(0);
    }
    for (int k = 0; k < size; k++) {
        float8 b[VECTORS];
#pragma unroll
        for (int j = 0; j < VECTORS; j++) b[j] = AT(const loose, panel, k * COLUMNS + j * WIDTH);
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            const float x = line[i][k];
#pragma unroll
            for (int j = 0; j < VECTORS; j++) sums[i][j] += x * b[j];
        }
    }
    if (rows == ROWS && columns == COLUMNS) {
#pragma unroll
        for (int i = 0; i < ROWS; i++)
#pragma unroll
            for (int j = 0; j < VECTORS; j++) {
                global loose *to = (global loose *)(y + i * y_row + j * WIDTH);
                *to = is_first ? sums[i][j] : *to + sums[i][j];
            }
        return;
    }
    float edge[ROWS][COLUMNS];
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int j = 0; j < VECTORS; j++) *(loose *)(edge[i] + j * WIDTH) = sums[i][j];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            y[i * y_row + j] = is_first ? edge[i][j] : y[i * y_row + j] + edge[i][j];
}

// `y = a @ b`, rows of `size` times packed panels; all matrices are as wide as their rows.
static void multiply(global float *restrict y, global const float *restrict a,
                     global const float *restrict panels, const int rows, const int size,
                     const int columns) {
    for (int k = 0; k < size; k += DEPTH)
        for (int j = 0; j < columns; j += COLUMNS)
            for (int i = 0; i < rows; i += ROWS)
                tile(y + (long)i * columns + j, columns, a + (long)i * size + k, size,
                     panels + (long)j * size + k * COLUMNS, LEAST(DEPTH, size - k),
                     LEAST(ROWS, rows - i), LEAST(COLUMNS, columns - j), k == 0);
}

#define EACH_STEP for (int step = 0; step < steps; step++)
#define EACH_UNIT(ACTION)                                                \
    {                                                                    \
        int u = 0;                                                       \
        for (; u + WIDTH <= hidden; u += WIDTH) ACTION(float8, loose, u) \
        for (; u < hidden; u++) ACTION(float, float, u)                  \
    }
#define SIGMOID(x) (1 / (1 + exp_of(-(x))))
#endif

#ifdef FORWARD
// Of a row: what the gates get from the state becomes the gates; the next state and output.
#define CELL(T, L, u)                                                                      \
    {                                                                                      \
        const T in = SIGMOID(AT(L, gate, u) + AT(const L, sum, u));                        \
        const T forget = SIGMOID(AT(L, gate, hidden + u) + AT(const L, sum, hidden + u));  \
        const T new = tanh_of(AT(L, gate, 2 * hidden + u) + AT(const L, sum, 2 * hidden + u)); \
        const T out = SIGMOID(AT(L, gate, 3 * hidden + u) + AT(const L, sum, 3 * hidden + u)); \
        const T cell = forget * AT(const L, before, u) + in * new;                         \
        AT(L, gate, u) = in;                                                               \
        AT(L, gate, hidden + u) = forget;                                                  \
        AT(L, gate, 2 * hidden + u) = new;                                                 \
        AT(L, gate, 3 * hidden + u) = out;                                                 \
        AT(L, cells, row * hidden + u) = cell;                                             \
        AT(L, outputs, row * hidden + u) = out * tanh_of(cell);                            \
    }

kernel void forward(global const float *restrict sums, global const float *restrict panels,
                    global const float *restrict h, global const float *restrict c,
                    global float *restrict outputs, global float *restrict cells,
                    global float *restrict gates, const int steps, const int n, const int hidden,
                    const int share, const int is_reverse) {
    const int start = get_global_id(0) * share;
    const int rows = LEAST(share, n - start);
    long last = -1;  // the row before, in time, of the first sequence
    EACH_STEP {
        const long first = (long)(is_reverse ? steps - 1 - step : step) * n + start;
        multiply(gates + first * 4 * hidden,
                 last < 0 ? h + (long)start * hidden : outputs + last * hidden, panels, rows,
                 hidden, 4 * hidden);
        for (int i = 0; i < rows; i++) {
            const long row = first + i;
            global float *gate = gates + row * 4 * hidden;
            global const float *sum = sums + row * 4 * hidden;
            global const float *before =
                last < 0 ? c + (long)(start + i) * hidden : cells + (last + i) * hidden;
            EACH_UNIT(CELL)
        }
        last = first;
    }
}
#endif

#ifdef BACKWARD
// Of a row: the gradients of the sums, and of the state before.
#define CELL_GRAD(T, L, u)                                                             \
    {                                                                                  \
        const T in = AT(const L, gate, u), forget = AT(const L, gate, hidden + u);     \
        const T new = AT(const L, gate, 2 * hidden + u);                               \
        const T out = AT(const L, gate, 3 * hidden + u);                               \
        const T tanh_c = tanh_of(AT(const L, cells, row * hidden + u));                \
        const T dh = AT(const L, grad, row * hidden + u) + AT(L, grad_h, state + u);   \
        const T dc = AT(L, grad_c, state + u) + dh * out * (1 - tanh_c * tanh_c);      \
        AT(L, grad_gate, u) = dc * new * (in * (1 - in));                              \
        AT(L, grad_gate, hidden + u) = dc * AT(const L, before, u) * (forget * (1 - forget)); \
        AT(L, grad_gate, 2 * hidden + u) = dc * in * (1 - new * new);                  \
        AT(L, grad_gate, 3 * hidden + u) = dh * tanh_c * (out * (1 - out));            \
        AT(L, grad_c, state + u) = dc * forget;                                        \
    }

// `grad` and `grad_last` are the gradients of the outputs and of the last state; `grad_h` and
// `grad_c` become those of the first ones.
kernel void backward(global const float *restrict grad, global const float *restrict grad_last,
                     global const float *restrict panels, global const float *restrict gates,
                     global const float *restrict cells, global const float *restrict c,
                     global float *restrict grad_sums, global float *restrict grad_h,
                     global float *restrict grad_c, const int steps, const int n, const int hidden,
                     const int share, const int is_reverse) {
    const int start = get_global_id(0) * share;
    const int rows = LEAST(share, n - start);
    for (long i = (long)start * hidden; i < (long)(start + rows) * hidden; i++) {
        grad_h[i] = 0;
        grad_c[i] = grad_last[i];
    }
    EACH_STEP {
        const int t = is_reverse ? step : steps - 1 - step;
        const long first = (long)t * n + start;
        const long last = step == steps - 1 ? -1 : first + (is_reverse ? n : -n);
        for (int i = 0; i < rows; i++) {
            const long row = first + i, state = (long)(start + i) * hidden;
            global const float *gate = gates + row * 4 * hidden;
            global float *grad_gate = grad_sums + row * 4 * hidden;
            global const float *before = last < 0 ? c + state : cells + (last + i) * hidden;
            EACH_UNIT(CELL_GRAD)
        }
        multiply(grad_h + (long)start * hidden, grad_sums + first * 4 * hidden, panels, rows,
                 4 * hidden, hidden);
    }
}
#endif
