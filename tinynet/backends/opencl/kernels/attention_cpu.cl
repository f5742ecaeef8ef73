// Attention on a CPU, softmax(q @ k.T * scale + mask) @ v, whose weights never go to memory (Dao et
// al. 2022, arXiv:2205.14135; Milakov & Gimelshein 2018, arXiv:1805.02867).
//
// Layout: rows of q have Q_SIZE columns, as those of k; rows of v have V_SIZE; columns lie side by
//   side, rows, heads and sequences anywhere. The mask is added, transposed: MASK 1, a row for each
//   key with a column for each query; MASK 2, one number for each key; 0, none. What the kernels
//   write has rows of all heads side by side: (sequences, rows, heads, columns).
// Method: LANES queries at a time stand side by side in vectors, and KEYS keys below each other, so
//   that a softmax needs no sums across a vector and keys and values are read where they are. Keys
//   at either end that no query of these may look at are left out: of a causal mask, half.
// Work size: FORWARD: one item, a group of its own, for each of `parts` of each head; BACKWARD: for
//   each head. Limits: WIDTH * VECTORS divides Q_SIZE and V_SIZE.

#define LANES 16
#define KEYS 128

// `y = a @ b`, or `y += ...` unless `is_first`, for a tile of ROWS x VECTORS * WIDTH of which `rows`
// are stored.
#define TILE(NAME, Y, A, B, ROWS, VECTORS)                                                        \
    static OUTLINED void NAME(Y float *restrict y, const long y_row, A const float *restrict a,    \
                              const long a_row, const long a_step, B const float *restrict b,      \
                              const long b_row, const int size, const int rows,                    \
                              const int is_first) {                                                \
        A const float *restrict line[ROWS];                                                        \
        float8 sums[ROWS][VECTORS];                                                                \
        _Pragma("unroll") for (int i = 0; i < ROWS; i++) {                                         \
            line[i] = a + LEAST(i, rows - 1) * a_row;                                              \
            _Pragma("unroll") for (int j = 0; j < VECTORS; j++) sums[i][j] = (float8)(0);          \
        }                                                                                          \
        for (int k = 0; k < size; k++) {                                                           \
            float8 c[VECTORS];                                                                     \
            _Pragma("unroll") for (int j = 0; j < VECTORS; j++)                                    \
                c[j] = *(B const loose *)(b + k * b_row + j * WIDTH);                              \
            _Pragma("unroll") for (int i = 0; i < ROWS; i++) {                                     \
                const float x = line[i][k * a_step];                                               \
                _Pragma("unroll") for (int j = 0; j < VECTORS; j++) sums[i][j] += x * c[j];        \
            }                                                                                      \
        }                                                                                          \
        _Pragma("unroll") for (int i = 0; i < ROWS; i++) {                                         \
            if (i >= rows) break;                                                                  \
            _Pragma("unroll") for (int j = 0; j < VECTORS; j++) {                                  \
                Y loose *to = (Y loose *)(y + i * y_row + j * WIDTH);                              \
                *to = is_first ? sums[i][j] : *to + sums[i][j];                                    \
            }                                                                                      \
        }                                                                                          \
    }

// The product of `rows` rows of `size` with as many rows of `columns`, which a tile's width divides.
#define PRODUCT(NAME, TALL, FLAT, Y, A, B, VECTORS)                                                \
    TILE(TALL, Y, A, B, 6, VECTORS)                                                                \
    TILE(FLAT, Y, A, B, 2, VECTORS)                                                                \
    static void NAME(Y float *restrict y, const long y_row, A const float *restrict a,             \
                     const long a_row, const long a_step, B const float *restrict b,               \
                     const long b_row, const int rows, const int size, const int columns,          \
                     const int is_first) {                                                         \
        for (int j = 0; j < columns; j += VECTORS * WIDTH) {                                       \
            int i = 0;                                                                             \
            for (; i + 6 <= rows; i += 6)                                                          \
                TALL(y + i * y_row + j, y_row, a + i * a_row, a_row, a_step, b + j, b_row,         \
                            size, 6, is_first);                                                    \
            for (; i < rows; i += 2)                                                               \
                FLAT(y + i * y_row + j, y_row, a + i * a_row, a_row, a_step, b + j, b_row,         \
                            size, LEAST(2, rows - i), is_first);                                   \
        }                                                                                          \
    }

PRODUCT(lanes_of, lanes_of_tall, lanes_of_flat, private, global, private, 2)

// Rows to lanes: `to[c * LANES + i] = from[i * row + c] * factor`, zeros for lanes past `count`.
static void turn(private float *restrict to, global const float *restrict from, const long row,
                 const int count, const int columns, const float factor) {
    for (int i = 0; i < LANES; i += WIDTH)
        for (int c = 0; c < columns; c += WIDTH) {
            float8 x[WIDTH];
#pragma unroll
            for (int l = 0; l < WIDTH; l++)
                x[l] = i + l < count ? *(global const loose *)(from + (i + l) * row + c) * factor
                                     : (float8)(0);
            transpose(x, WIDTH);
#pragma unroll
            for (int l = 0; l < WIDTH; l++) *(private loose *)(to + (c + l) * LANES + i) = x[l];
        }
}

// Lanes to rows, each lane times its factor.
static void turn_back(global float *restrict to, const long row, private const float *restrict from,
                      const int count, const int columns, private const float8 *factors) {
    for (int i = 0; i < count; i += WIDTH)
        for (int c = 0; c < columns; c += WIDTH) {
            float8 x[WIDTH];
#pragma unroll
            for (int l = 0; l < WIDTH; l++)
                x[l] = *(private const loose *)(from + (c + l) * LANES + i) * factors[i / WIDTH];
            transpose(x, WIDTH);
#pragma unroll
            for (int l = 0; l < WIDTH; l++)
                if (i + l < count) *(global loose *)(to + (i + l) * row + c) = x[l];
        }
}

#if MASK
#define MASK_PARAMETER global const float *restrict mask,
#define MASK_STRIDES , const long mask_n, const long mask_head, const long mask_row
#define MASK_OF(n, head) (mask + (n) * mask_n + (head) * mask_head)
#else
#define MASK_PARAMETER
#define MASK_STRIDES
#endif

// Whether none of the lanes may look at a key.
#if MASK == 1
static int is_barred(global const float *restrict row, const int count) {
    int is_seen = 0;
    for (int i = 0; i < count; i++) is_seen |= row[i] != -INFINITY;
    return !is_seen;
}

// What is added to the scores of a key: lanes past `count` may look at anything.
static void add_mask(private float8 *restrict scores, global const float *restrict row,
                     const int count) {
    if (count == LANES) {
        scores[0] += *(global const loose *)row;
        scores[1] += *(global const loose *)(row + WIDTH);
        return;
    }
    float lanes[LANES];
    for (int i = 0; i < LANES; i++) lanes[i] = i < count ? row[i] : 0;
    scores[0] += *(private loose *)lanes;
    scores[1] += *(private loose *)(lanes + WIDTH);
}
#elif MASK == 2
static int is_barred(global const float *restrict row, const int count) {
    return *row == -INFINITY;
}

static void add_mask(private float8 *restrict scores, global const float *restrict row,
                     const int count) {
    scores[0] += *row;
    scores[1] += *row;
}
#endif

// Scores of keys below each other, LANES queries side by side, with the mask.
static void score(private float8 *restrict scores, private const float *restrict query,
                  global const float *restrict key, const long key_row, const int count,
                  const int lanes
#if MASK
                  , global const float *restrict mask, const long mask_row
#endif
) {
    lanes_of((private float *)scores, LANES, key, key_row, 1, query, LANES, count, Q_SIZE, LANES, 1);
#if MASK
    for (int j = 0; j < count; j++) add_mask(scores + 2 * j, mask + j * mask_row, lanes);
#endif
}

#define LARGEST(x, y) ((y) > (x) ? (y) : (x))
#define STRIDES(x) const long x##_at, const long x##_n, const long x##_head, const long x##_row
#define MOVE(x, n, head) x += x##_at + (n) * x##_n + (head) * x##_head
#define SIZES const int heads, const int queries, const int keys, const float scale

// The keys from `begin` to `end` are those that some of the lanes may look at.
#if MASK
#define FIND_KEYS(mask_of_lanes, lanes)                                                         \
    int begin = 0, end = keys;                                                                  \
    while (end > begin && is_barred(mask_of_lanes + (end - 1) * mask_row, lanes)) end--;        \
    while (begin < end && is_barred(mask_of_lanes + begin * mask_row, lanes)) begin++;
#define MASKED(block) , mask_of_lanes + (block) * mask_row, mask_row
#else
#define FIND_KEYS(mask_of_lanes, lanes) const int begin = 0, end = keys;
#define MASKED(block)
#endif
#if MASK == 1
#define MASK_OF_LANES(n, head, first) global const float *mask_of_lanes = MASK_OF(n, head) + (first);
#elif MASK == 2
#define MASK_OF_LANES(n, head, first) global const float *mask_of_lanes = MASK_OF(n, head);
#else
#define MASK_OF_LANES(n, head, first)
#endif

#ifdef FORWARD
kernel void forward(global const float *restrict q, global const float *restrict k,
                    global const float *restrict v, MASK_PARAMETER global float *restrict out,
                    global float *restrict logs, SIZES, const int parts, STRIDES(q), STRIDES(k),
                    STRIDES(v) MASK_STRIDES) {
    const int item = get_global_id(0) / parts, part = get_global_id(0) % parts;
    const long n = item / heads, head = item % heads;
    const int tiles = (queries + LANES - 1) / LANES, share = (tiles + parts - 1) / parts;
    MOVE(q, n, head), MOVE(k, n, head), MOVE(v, n, head);
    out += (n * queries * heads + head) * V_SIZE;
    logs += (long)item * queries;
    for (int tile = part * share; tile < LEAST(tiles, (part + 1) * share); tile++) {
        const int first = tile * LANES, lanes = LEAST(LANES, queries - first);
        float query[Q_SIZE * LANES] __attribute__((aligned(32)));
        float sums[V_SIZE * LANES] __attribute__((aligned(32)));
        float8 scores[KEYS * 2], most[2], total[2];
        for (int r = 0; r < 2; r++) most[r] = (float8)(-INFINITY), total[r] = (float8)(0);
        for (int i = 0; i < V_SIZE * LANES; i++) sums[i] = 0;
        turn(query, q + first * q_row, q_row, lanes, Q_SIZE, scale);
        MASK_OF_LANES(n, head, first)
        FIND_KEYS(mask_of_lanes, lanes)
        for (int block = begin; block < end; block += KEYS) {
            const int count = LEAST(KEYS, end - block);
            score(scores, query, k + block * k_row, k_row, count, lanes MASKED(block));
            for (int r = 0; r < 2; r++) {
                float8 top = most[r], sum = (float8)(0);
                for (int j = 0; j < count; j++) top = LARGEST(top, scores[2 * j + r]);
                const float8 base = top == -INFINITY ? (float8)(0) : top;
                const float8 factor = exp_of(most[r] - base);
                for (int j = 0; j < count; j++) {
                    const float8 weight = exp_of(scores[2 * j + r] - base);
                    scores[2 * j + r] = weight;
                    sum += weight;
                }
                total[r] = total[r] * factor + sum;
                most[r] = top;
                if (block != begin)
                    for (int i = 0; i < V_SIZE; i++)
                        *(private loose *)(sums + i * LANES + r * WIDTH) *= factor;
            }
            lanes_of(sums, LANES, v + block * v_row, 1, v_row, (private const float *)scores, LANES,
                     V_SIZE, count, LANES, 0);
        }
        for (int i = 0; i < lanes; i++) {
            const float all = ((private float *)total)[i];
            logs[first + i] = all == 0 ? INFINITY : ((private float *)most)[i] + log(all);
        }
        for (int r = 0; r < 2; r++) total[r] = total[r] == 0 ? (float8)(0) : 1 / total[r];
        turn_back(out + (long)first * heads * V_SIZE, (long)heads * V_SIZE, sums, lanes, V_SIZE,
                  total);
    }
}
#endif

#ifdef BACKWARD
PRODUCT(rows_of, rows_of_tall, rows_of_flat, global, private, global, VECTORS)

// weights = exp(scores - logs), grads = weights * (v @ grad.T - sum(out * grad)) * scale: then
// grad_v = weights.T @ grad, grad_k = grads.T @ q, grad_q = grads @ k.
kernel void backward(global const float *restrict grad, global const float *restrict q,
                     global const float *restrict k, global const float *restrict v,
                     MASK_PARAMETER global const float *restrict out,
                     global const float *restrict logs, global float *restrict grad_q,
                     global float *restrict grad_k, global float *restrict grad_v, SIZES,
                     STRIDES(grad), STRIDES(q), STRIDES(k), STRIDES(v) MASK_STRIDES) {
    const int item = get_global_id(0);
    const long n = item / heads, head = item % heads;
    const long q_line = (long)heads * Q_SIZE, v_line = (long)heads * V_SIZE;  // of what is written
    MOVE(grad, n, head), MOVE(q, n, head), MOVE(k, n, head), MOVE(v, n, head);
    out += (n * queries * heads + head) * V_SIZE;
    logs += (long)item * queries;
    grad_q += (n * queries * heads + head) * Q_SIZE;
    grad_k += (n * keys * heads + head) * Q_SIZE;
    grad_v += (n * keys * heads + head) * V_SIZE;
    for (int j = 0; j < keys; j++) {
        for (int c = 0; c < Q_SIZE; c++) grad_k[j * q_line + c] = 0;
        for (int c = 0; c < V_SIZE; c++) grad_v[j * v_line + c] = 0;
    }
    for (int first = 0; first < queries; first += LANES) {
        const int lanes = LEAST(LANES, queries - first);
        float query[Q_SIZE * LANES] __attribute__((aligned(32)));
        float turned[V_SIZE * LANES] __attribute__((aligned(32)));
        float sums[Q_SIZE * LANES] __attribute__((aligned(32)));
        float8 weights[KEYS * 2], grads[KEYS * 2], top[2], dots[2];
        const float8 ones[2] = {(float8)(1), (float8)(1)};
        for (int i = 0; i < Q_SIZE * LANES; i++) sums[i] = 0;
        turn(query, q + first * q_row, q_row, lanes, Q_SIZE, scale);
        turn(turned, grad + first * grad_row, grad_row, lanes, V_SIZE, 1);
        for (int i = 0; i < LANES; i++) {  // lanes past the last have no weights
            float dot = 0;
            if (i < lanes)
                for (int c = 0; c < V_SIZE; c += WIDTH) {
                    const float8 x = *(global const loose *)(grad + (first + i) * grad_row + c) *
                                     *(global const loose *)(out + (first + i) * v_line + c);
                    const float4 y = x.lo + x.hi;
                    dot += (y.x + y.y) + (y.z + y.w);
                }
            ((private float *)dots)[i] = dot;
            ((private float *)top)[i] = i < lanes ? logs[first + i] : INFINITY;
        }
        MASK_OF_LANES(n, head, first)
        FIND_KEYS(mask_of_lanes, lanes)
        for (int block = begin; block < end; block += KEYS) {
            const int count = LEAST(KEYS, end - block);
            score(weights, query, k + block * k_row, k_row, count, lanes MASKED(block));
            lanes_of((private float *)grads, LANES, v + block * v_row, v_row, 1, turned, LANES, count,
                     V_SIZE, LANES, 1);
            for (int j = 0; j < count; j++)
                for (int r = 0; r < 2; r++) {
                    const float8 weight = exp_of(weights[2 * j + r] - top[r]);
                    weights[2 * j + r] = weight;
                    grads[2 * j + r] = weight * (grads[2 * j + r] - dots[r]) * scale;
                }
            rows_of(grad_v + block * v_line, v_line, (private const float *)weights, LANES, 1,
                    grad + first * grad_row, grad_row, count, lanes, V_SIZE, 0);
            rows_of(grad_k + block * q_line, q_line, (private const float *)grads, LANES, 1,
                    q + first * q_row, q_row, count, lanes, Q_SIZE, 0);
            lanes_of(sums, LANES, k + block * k_row, 1, k_row, (private const float *)grads, LANES,
                     Q_SIZE, count, LANES, 0);
        }
        turn_back(grad_q + first * q_line, q_line, sums, lanes, Q_SIZE, ones);
    }
}
#endif
