// Convolutions on a GPU: matrix products W[row][step] X[step][column], summed over steps, of which
// X is nowhere in memory, but gathered from the array x that windows lie on.
//
//             row              column                       step
//   forward   output channel   image and place              channel and tap
//   transpose channel          image and place (a phase)    output channel and tap (of the phase)
//   weights   output channel   channel and tap              image and place
//
// Layout: any strides, in elements. A column is a number of four digits (outer, depth, height,
//   width), and so is a step. Each of them gives a part of an element's address in x and a part of
//   its coordinates, which tell whether it is inside of x; both parts add up. So all divisions are
//   done once for each column, and from step to step digits are counted on with carries.
// TASK, the kernel:
//   TILES: a group of items shares tiles of W and X in local memory. An item has ROWS x COLUMNS
//     sums: neighbouring rows, and columns in vectors a group's width apart, so that it reads tiles
//     as vectors, whose places in local memory are in different banks. While it multiplies, what
//     the next tiles hold is on its way from memory. X is loaded along the width of images, which is
//     along columns, or with X_STEP_FIRST along steps; W along rows, or with W_STEP_FIRST along
//     steps. An item that loads always the same columns, or the same step, keeps their places. With
//     IS_PART a group sums `share` steps only, and leaves sums in scratch memory as (part, row,
//     column).
//   SUM: adds up parts, always in the same order.
//   DIRECT: an item for each element of the result; for one channel in a group, where items would
//     share nothing in local memory. With IS_WEIGHT a group for each, whose items share the steps.
//   With TRANSPOSED places of one residue modulo the stride in each dim (a phase) have the same
//   taps, some taps apart; in TILES a group has one phase, so that it multiplies none in vain.
// Work size: TILES: (groups * BLOCK_COLUMNS / COLUMNS, BLOCK_ROWS / ROWS), a group for each block
//   of BLOCK_ROWS x BLOCK_COLUMNS; blocks of rows fastest, which read the same of x, then groups of
//   channels, phases, blocks of columns, parts. DIRECT, SUM: items in groups of ITEMS.
// Limits: ROWS divides BLOCK_ROWS, COLUMNS divides BLOCK_COLUMNS, ITEMS >= DEPTH; ITEMS is a power
//   of 2 for DIRECT weights. All addresses and numbers of elements, columns and steps fit INDEX,
//   int or long; coordinates are less than 2^29.
// W is what sums are held in: C, or an unsigned integer of at least 32 bits, which wraps around.
// Names that end in a digit are the epilogue's.

#define TILES 1
#define DIRECT 2
#define SUM 3

#define MISSING (-(1 << 29))         // a coordinate that is outside, whatever is added

#define LONGS(x) const long x##_depth, const long x##_height, const long x##_width
#define DIMS(x) {x##_depth, x##_height, x##_width}
// What all but SUM know. The first `x` are its sizes; column_stride and step_stride are those of
// outer digits in memory, paces those of the others in coordinates. y: the sizes of the result.
#define GEOMETRY                                                                           \
    const long groups, const long rows, const long x_offset, const long x_group, LONGS(x), \
        LONGS(x_stride), const long w_offset, const long w_group, const long w_row,        \
        const long w_outer, LONGS(w_stride), const long columns_outer, LONGS(columns),     \
        const long column_stride, LONGS(column_pace), const long steps_outer, LONGS(steps), \
        const long step_stride, LONGS(step_pace), LONGS(padding), LONGS(stride),           \
        LONGS(dilation), LONGS(apart), LONGS(y), const long share

#if TASK != SUM
typedef struct {
    INDEX outer;
    int depth, height, width;
} Digits;

// What a column or a step adds to an element's address in x and to its coordinates.
typedef struct __attribute__((aligned(16))) {
    INDEX address, depth, height, width;
} Place;

static inline Digits digits_of(INDEX number, const int *sizes) {
    Digits digits;
    digits.width = number % sizes[2];
    number /= sizes[2];
    digits.height = number % sizes[1];
    number /= sizes[1];
    digits.depth = number % sizes[0];
    digits.outer = number / sizes[0];
    return digits;
}

static inline Digits add(Digits a, const Digits b, const int *sizes) {
    a.width += b.width;
    a.height += b.height;
    a.depth += b.depth;
    a.outer += b.outer;
    if (a.width >= sizes[2]) a.width -= sizes[2], a.height++;
    if (a.height >= sizes[1]) a.height -= sizes[1], a.depth++;
    if (a.depth >= sizes[0]) a.depth -= sizes[0], a.outer++;
    return a;
}

static inline Place place_of(const Digits digits, const int *pace, const int *begin,
                             const INDEX outer, const INDEX *stride) {
    Place place;
    place.depth = digits.depth * pace[0] + begin[0];
    place.height = digits.height * pace[1] + begin[1];
    place.width = digits.width * pace[2] + begin[2];
    place.address = digits.outer * outer + place.depth * stride[0] + place.height * stride[1] +
                    place.width * stride[2];
    return place;
}

// Taps along one dim for places of the output with this residue: the first one, how many, and where
// in x the first lies for the first such place.
static inline int taps_of(const int residue, const int kernel_size, const int padding,
                          const int stride, const int dilation, const int apart, int *count,
                          int *begin) {
    int first = 0;
    while (first < apart && (residue + padding - first * dilation) % stride) first++;
    const bool is_any = first < apart && first < kernel_size;
    *count = is_any ? (kernel_size - 1 - first) / apart + 1 : 0;
    *begin = is_any ? (residue + padding - first * dilation) / stride : 0;
    return is_any ? first : 0;
}

#define INSIDE(a, b, dim) ((uint)((a).dim + (b).dim) < (uint)x_##dim)
#define IS_INSIDE(a, b) (INSIDE(a, b, depth) && INSIDE(a, b, height) && INSIDE(a, b, width))

// The variables that the kernels below have in common, for a `phase` of the output.
#if TRANSPOSED
#define FIND_TAPS(phase)                                                                         \
    const int residues[] = {(phase) / (int)(stride_height * stride_width),                       \
                            (phase) / (int)stride_width % (int)stride_height,                    \
                            (phase) % (int)stride_width};                                        \
    const int paddings[] = DIMS(padding), strides[] = DIMS(stride), dilations[] = DIMS(dilation); \
    const int aparts[] = DIMS(apart), kernel_sizes[] = DIMS(steps);                              \
    int taps[3], begin[3], first[3];                                                             \
    _Pragma("unroll") for (int i = 0; i < 3; i++)                                                \
        first[i] = taps_of(residues[i], kernel_sizes[i], paddings[i], strides[i], dilations[i],  \
                           aparts[i], taps + i, begin + i);                                      \
    const INDEX total = (INDEX)steps_outer * taps[0] * taps[1] * taps[2];                        \
    for (int i = 0; i < 3; i++) taps[i] = max(taps[i], 1);                                       \
    const INDEX w_begin = first[0] * (INDEX)w_stride_depth + first[1] * (INDEX)w_stride_height + \
                          first[2] * (INDEX)w_stride_width;                                      \
    const INDEX w_strides[] = {(INDEX)(w_stride_depth * apart_depth),                            \
                               (INDEX)(w_stride_height * apart_height),                          \
                               (INDEX)(w_stride_width * apart_width)};
#else
#define FIND_TAPS(phase)                                                    \
    const int taps[] = DIMS(steps);                                         \
    const int begin[] = {-padding_depth, -padding_height, -padding_width};  \
    const INDEX total = (INDEX)steps_outer * taps[0] * taps[1] * taps[2], w_begin = 0; \
    const INDEX w_strides[] = DIMS(w_stride);
#endif
#define FIND_PLACES                                                      \
    const INDEX x_strides[] = DIMS(x_stride);                            \
    const int column_paces[] = DIMS(column_pace), step_paces[] = DIMS(step_pace); \
    const int column_sizes[] = DIMS(columns), zeros[] = {0, 0, 0};
#define STEP_PLACE(digits) place_of(digits, step_paces, zeros, step_stride, x_strides)
#define COLUMN_PLACE(digits) place_of(digits, column_paces, begin, column_stride, x_strides)
#define W_ADDRESS(digits)                                                                \
    ((digits).outer * (INDEX)w_outer + (digits).depth * w_strides[0] +                   \
     (digits).height * w_strides[1] + (digits).width * w_strides[2])
#endif

#if TASK == TILES
// How many of the group's columns an item loads, if its loads are along columns.
#define OWN (BLOCK_COLUMNS > ITEMS ? BLOCK_COLUMNS / ITEMS : 1)

kernel __attribute__((reqd_work_group_size(ITEMS_ACROSS, ITEMS_DOWN, 1)))
#if IS_PART
void convolve(global const S *restrict operand_a, global const S *restrict operand_b,
              global W *restrict parts, GEOMETRY) {
#else
void convolve(global const S *restrict operand_a, global const S *restrict operand_b,
              GEOMETRY EPILOGUE_PARAMETERS) {
    EPILOGUE_INIT
#endif
    local W w_tile[DEPTH][BLOCK_ROWS + GAP(ROWS)] __attribute__((aligned(16)));
    local W x_tile[DEPTH][BLOCK_COLUMNS + GAP(COLUMNS)] __attribute__((aligned(16)));
    local Place columns[BLOCK_COLUMNS], steps[DEPTH];
    local INDEX w_steps[DEPTH], elements[BLOCK_COLUMNS];  // addresses in w; places in an image of y
    local int images[BLOCK_COLUMNS];
    const uint across = get_local_id(0), down = get_local_id(1);
    const uint item = down * ITEMS_ACROSS + across;

    const INDEX n_columns = (INDEX)columns_outer * columns_depth * columns_height * columns_width;
    const INDEX blocks_down = (rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
    const INDEX blocks_across = (n_columns + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS;
    const INDEX phases = stride_depth * stride_height * stride_width;
    INDEX block = get_group_id(0);
    const INDEX top = block % blocks_down * BLOCK_ROWS;
    block /= blocks_down;
    const INDEX group_of_channels = block % (INDEX)groups;
    block /= (INDEX)groups;
    const int phase = block % phases;
    block /= phases;
    const INDEX left = block % blocks_across * BLOCK_COLUMNS, part = block / blocks_across;
    const int height = min((INDEX)BLOCK_ROWS, (INDEX)rows - top);
    FIND_TAPS(phase)
    FIND_PLACES
    global const S *x = operand_a + x_offset + group_of_channels * x_group;
    global const S *w = operand_b + w_offset + group_of_channels * w_group + top * w_row + w_begin;
    const INDEX row_stride = w_row;

    for (int j = item; j < BLOCK_COLUMNS; j += ITEMS) {
        const INDEX column = left + j;
        const Digits digits = digits_of(column, column_sizes);
        columns[j] = COLUMN_PLACE(digits);
        bool is_there = column < n_columns;
        images[j] = IS_WEIGHT ? 0 : digits.outer;
        elements[j] = column;
#if TRANSPOSED
        const INDEX d = digits.depth * strides[0] + residues[0];
        const INDEX h = digits.height * strides[1] + residues[1];
        const INDEX r = digits.width * strides[2] + residues[2];
        is_there = is_there && d < y_depth && h < y_height && r < y_width;
        elements[j] = (d * y_height + h) * y_width + r;
#elif !IS_WEIGHT
        elements[j] = column % (n_columns / (INDEX)columns_outer);
#endif
        if (!is_there) {
            columns[j].width = MISSING;
            elements[j] = -1;
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    const INDEX begins = part * share, end = min(total, (INDEX)(begins + share));
    const Digits further = digits_of(DEPTH, taps);
    Digits mine = digits_of(begins + item, taps);  // the step that this item counts on with
    W sums[ROWS][COLUMNS], w_next[LOADS(BLOCK_ROWS)], x_next[LOADS(BLOCK_COLUMNS)];
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) sums[i][j] = 0;
    Place own[OWN];
#pragma unroll
    for (uint u = 0; u < OWN; u++) own[u] = columns[(item + u * ITEMS) % BLOCK_COLUMNS];

    for (INDEX start = begins - DEPTH; start < end; start += DEPTH) {
        const int depth = min((INDEX)DEPTH, (INDEX)(end - start - DEPTH));  // of the next tiles
        if (start >= begins) {
            KEEP(x_tile, BLOCK_COLUMNS, X_STEP_FIRST, x_next)
            KEEP(w_tile, BLOCK_ROWS, W_STEP_FIRST, w_next)
        }
        if (item < DEPTH) {
            steps[item] = STEP_PLACE(mine);
            if ((int)item >= depth) steps[item].width = MISSING;
            w_steps[item] = W_ADDRESS(mine);
            mine = add(mine, further, taps);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        if (depth > 0) {
#pragma unroll
            for (uint u = 0; u < LOADS(BLOCK_COLUMNS); u++) {
                const uint e = item + u * ITEMS;
                x_next[u] = 0;
                if (!IS_LOAD(e, BLOCK_COLUMNS)) continue;
                const Place b = steps[STEP(e, BLOCK_COLUMNS, X_STEP_FIRST)];
                const Place a = X_STEP_FIRST ? columns[e / DEPTH] : own[u % OWN];
                if (IS_INSIDE(a, b)) x_next[u] = (W)x[a.address + b.address];
            }
#pragma unroll
            for (uint u = 0; u < LOADS(BLOCK_ROWS); u++) {
                const int i = LINE(item + u * ITEMS, BLOCK_ROWS, W_STEP_FIRST);
                const int s = STEP(item + u * ITEMS, BLOCK_ROWS, W_STEP_FIRST);
                w_next[u] = i < height && s < depth ? (W)w[i * row_stride + w_steps[s]] : (W)0;
            }
        }
        if (start >= begins) MULTIPLY(w_tile, down, x_tile, across)
        barrier(CLK_LOCAL_MEM_FENCE);
    }
#pragma unroll
    for (int j = 0; j < COLUMNS; j++) {
        const int right = COLUMN(across, j);
        const INDEX element = elements[right];
        const int image = images[right];
        if (element < 0) continue;
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            const INDEX row = group_of_channels * rows + top + down * ROWS + i;
            if (down * ROWS + i < height) {
#if IS_PART
                parts[(part * groups * rows + row) * n_columns + element] = sums[i][j];
#else
                EPILOGUE((C)sums[i][j], image, row, element);
#endif
            }
        }
    }
}
#endif

#if TASK == DIRECT
kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
void convolve(global const S *restrict operand_a, global const S *restrict operand_b,
              GEOMETRY EPILOGUE_PARAMETERS) {
    EPILOGUE_INIT
    const int item = get_local_id(0);
    W sum = 0;
#if IS_WEIGHT
    local W all[ITEMS];
    const INDEX n_columns = (INDEX)columns_outer * columns_depth * columns_height * columns_width;
    const INDEX row = (INDEX)get_group_id(0) / n_columns;
    const INDEX element = (INDEX)get_group_id(0) % n_columns;
    const int image = 0;
    FIND_TAPS(0)
    FIND_PLACES
    const Place column = COLUMN_PLACE(digits_of(element, column_sizes));
    global const S *x = operand_a + x_offset + row / (INDEX)rows * x_group + column.address;
    global const S *w = operand_b + w_offset + row / (INDEX)rows * w_group +
                        row % (INDEX)rows * w_row;
    const Digits further = digits_of(ITEMS, taps);
    Digits mine = digits_of(item, taps);
    for (INDEX step = item; step < total; step += ITEMS) {
        const Place place = STEP_PLACE(mine);
        if (IS_INSIDE(column, place)) sum += (W)x[place.address] * (W)w[W_ADDRESS(mine)];
        mine = add(mine, further, taps);
    }
    all[item] = sum;
    for (int half_of_items = ITEMS / 2; half_of_items > 0; half_of_items /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (item < half_of_items) all[item] += all[item + half_of_items];
    }
    if (item > 0) return;
    sum = all[0];
#else
    const int sizes[] = DIMS(y);
    const INDEX places = (INDEX)y_depth * y_height * y_width, n_rows = groups * rows;
    const INDEX number = get_global_id(0);
    if (number >= columns_outer * n_rows * places) return;
    Digits digits = digits_of(number, sizes);
    const INDEX element = number % places, row = digits.outer % n_rows;
    const INDEX image = digits.outer / n_rows;
    digits.outer = image;
#if TRANSPOSED
    FIND_TAPS((digits.depth % (int)stride_depth * (int)stride_height +
               digits.height % (int)stride_height) * (int)stride_width +
              digits.width % (int)stride_width)
    digits.depth /= strides[0];
    digits.height /= strides[1];
    digits.width /= strides[2];
#else
    FIND_TAPS(0)
#endif
    FIND_PLACES
    const Place column = COLUMN_PLACE(digits);
    global const S *x = operand_a + x_offset + row / (INDEX)rows * x_group + column.address;
    global const S *w = operand_b + w_offset + row / (INDEX)rows * w_group +
                        row % (INDEX)rows * w_row + w_begin;
    if (total > 0)
        for (Digits step = {0, 0, 0, 0}; step.outer < steps_outer; step.outer++)
            for (step.depth = 0; step.depth < taps[0]; step.depth++)
                for (step.height = 0; step.height < taps[1]; step.height++)
                    for (step.width = 0; step.width < taps[2]; step.width++) {
                        const Place place = STEP_PLACE(step);
                        if (IS_INSIDE(column, place))
                            sum += (W)x[place.address] * (W)w[W_ADDRESS(step)];
                    }
#endif
    EPILOGUE((C)sum, image, row, element);
}
#endif

#if TASK == SUM
kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
void convolve(global const S *restrict operand_a, global const S *restrict operand_b,
              const long total, const long n_columns, const long count EPILOGUE_PARAMETERS) {
    EPILOGUE_INIT
    const INDEX number = get_global_id(0);
    if (number >= total) return;
    global const W *restrict parts = (global const W *)operand_a;
    W sum = 0;
    for (INDEX part = 0; part < count; part++) sum += parts[part * total + number];
    const INDEX row = number / n_columns, element = number % n_columns;
    EPILOGUE((C)sum, 0, row, element);
}
#endif
