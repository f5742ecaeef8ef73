// Convolutions on a CPU: a vector holds the same place of LANES images, so that no size but the
// batch's matters to how well vectors are filled, and padding costs nothing.
//
// Layout: PACK_IMAGES copies images (any strides, in elements) to scratch memory as (blocks of
//   LANES, channels, depth, height, width, lane), with zeros around them as far as windows reach
//   and in lanes past the last image. Where images are few, each is cut in `strips` vertical strips
//   of `strip` columns of the output, which are like images of their own. PACK_WEIGHT copies
//   weights as (groups, tiles of ROWS output channels, channels, taps, row of the tile).
// TASK, the kernel:
//   CONVOLVE: a tile of ROWS channels x COLUMNS places of the output in registers, over `deep`
//     channels and all taps; what it reads of the input then serves up to RUN tiles of the same
//     places while it is in the nearest cache. With TRANSPOSED the transpose: places of one residue
//     modulo the stride (a phase) have the same taps, so none is multiplied in vain. Taps in
//     padding are skipped.
//   WEIGHTS: sums of products of ROWS channels of y with COLUMNS (channel, tap) pairs of x, over
//     the places of a block, a band of `band` rows at a time so that y stays in the nearest cache;
//     SUM adds up what lanes and parts of the batch have.
// Work size: items, each a group of its own. PACK_*: a share of all channels, of all tiles.
//   CONVOLVE: block by block, `splits` shares of its (row, group, tile) units. WEIGHTS: `parts`
//   of the blocks, `splits` shares of (group, tile, COLUMNS pairs) units. SUM: a share of elements.
// Limits: the kernel is TAPS wide, or TAPS is 0; neighbours of a tile are IN_STEP apart in the
//   input, or IN_STEP is 0. fma(), mad() and vloadn() are slow on PoCL 3.0, hence none of them.
// Names that end in a digit are the epilogue's.

#define CONVOLVE 1
#define PACK_IMAGES 2
#define PACK_WEIGHT 3
#define WEIGHTS 4
#define SUM 5

#define LANES WIDTH
#define MOST(x, y) ((x) > (y) ? (x) : (y))
#define STEP (IN_STEP ? IN_STEP : in_step)
#define DIMS(x) const long x##_depth, const long x##_height, const long x##_width

#if TASK == PACK_IMAGES
// A row of LANES images, `image` elements apart, which lies without gaps.
OUTLINED void interleave(global U *restrict to, global const U *restrict from, const int width,
                         const long image) {
    int w = 0;
    for (; w + LANES <= width; w += LANES) {
        VECTOR x[LANES];
#pragma unroll
        for (int i = 0; i < LANES; i++) x[i] = *(global const loose *)(from + i * image + w);
        transpose(x, LANES);
#pragma unroll
        for (int i = 0; i < LANES; i++) *(global VECTOR *)(to + (w + i) * LANES) = x[i];
    }
    for (; w < width; w++)
        for (int i = 0; i < LANES; i++) to[w * LANES + i] = from[i * image + w];
}

// A row of any images: lane by lane, with zeros where there is none.
OUTLINED void gather(global U *restrict to, global const U *restrict from, const long first,
                     const long count, const long width, const long padded, const long left,
                     const long strips, const long shift, const long image, const long step) {
    for (int i = 0; i < LANES; i++) {
        const long n = (first + i) / strips;
        const long begin = (first + i) % strips * shift - left;
        const long low = n < count ? MOST(0, -begin) : padded;
        const long high = n < count ? LEAST(padded, width - begin) : padded;
        global const U *restrict row = from + n * image + begin * step;
        for (long w = 0; w < LEAST(low, padded); w++) to[w * LANES + i] = 0;
        for (long w = low; w < high; w++) to[w * LANES + i] = row[w * step];
        for (long w = MOST(low, high); w < padded; w++) to[w * LANES + i] = 0;
    }
}

kernel ONE_ITEM void pack(global const S *restrict operand, global U *restrict packed, const long offset,
          const long image, const long channel, const long plane, const long line,
          const long step, const long count, const long channels, DIMS(x), DIMS(padded),
          DIMS(before), const long strips, const long shift, const long total, const long share) {
    const long begin = get_global_id(0) * share;
    for (long unit = begin; unit < LEAST(begin + share, total); unit++) {
        const long first = unit / channels * LANES;
        global const U *restrict from =
            (global const U *)operand + offset + unit % channels * channel;
        global U *to = packed + unit * padded_depth * padded_height * padded_width * LANES;
        const bool is_plain = strips == 1 && first + LANES <= count && (step == 1 || image == 1);
        for (long d = -before_depth; d < padded_depth - before_depth; d++)
            for (long h = -before_height; h < padded_height - before_height; h++) {
                global const U *restrict row = from + d * plane + h * line;
                if (d < 0 || d >= x_depth || h < 0 || h >= x_height) {
                    for (long w = 0; w < padded_width * LANES; w++) to[w] = 0;
                } else if (is_plain) {
                    global U *restrict inside = to + before_width * LANES;
                    for (long w = 0; w < before_width * LANES; w++) to[w] = 0;
                    if (step == 1 && image != 1)
                        interleave(inside, row + first * image, x_width, image);
                    else
                        for (long w = 0; w < x_width; w++)
                            *(global VECTOR *)(inside + w * LANES) =
                                *(global const loose *)(row + first + w * step);
                    for (long w = (before_width + x_width) * LANES; w < padded_width * LANES; w++)
                        to[w] = 0;
                } else {
                    gather(to, row, first, count, x_width, padded_width, before_width, strips,
                           shift, image, step);
                }
                to += padded_width * LANES;
            }
    }
}
#endif

#if TASK == PACK_WEIGHT
kernel ONE_ITEM void pack(global const S *restrict operand, global U *restrict packed, const long offset,
          const long group, const long row, const long channel, const long plane, const long line,
          const long step, const long rows, const long channels, DIMS(kernel), const long total,
          const long share) {
    const long begin = get_global_id(0) * share, tiles = (rows + ROWS - 1) / ROWS;
    const long taps = kernel_depth * kernel_height * kernel_width;
    for (long unit = begin; unit < LEAST(begin + share, total); unit++) {
        global const U *restrict from = (global const U *)operand + offset + unit / tiles * group;
        global U *restrict to = packed + unit * channels * taps * ROWS;
        const long first = unit % tiles * ROWS;
        for (long c = 0; c < channels; c++)
            for (long d = 0; d < kernel_depth; d++)
                for (long h = 0; h < kernel_height; h++)
                    for (long w = 0; w < kernel_width; w++)
                        for (int r = 0; r < ROWS; r++)
                            *to++ = first + r < rows ? from[(first + r) * row + c * channel +
                                                           d * plane + h * line + w * step]
                                                     : (U)0;
    }
}
#endif

#if TASK == CONVOLVE
#define X_TAP(x, q) (*(global const VECTOR *)((x) + (q) * STEP * LANES))

// Taps of one phase along one dim: the first one and how far the next is; and where, for the first
// place, the first tap lies in the packed input and how far from there the next one.
typedef struct {
    int first, step, count, begin, shift;
} Taps;

static inline Taps taps_of(const long residue, const long kernel_size, const long stride,
                           const long dilation, const long padding, const long before) {
    Taps taps = {0, 1, kernel_size, before - padding, dilation};
#if TRANSPOSED
    long first = 0, next;
    while (first < kernel_size && (residue + padding - first * dilation) % stride) first++;
    for (next = first + 1; next < kernel_size; next++)
        if ((residue + padding - next * dilation) % stride == 0) break;
    taps.first = first;
    taps.step = next - first;
    taps.count = first < kernel_size ? (kernel_size - 1 - first) / taps.step + 1 : 0;
    taps.begin = (residue + padding - first * dilation) / stride + before;
    taps.shift = -(taps.step * dilation) / stride;
#endif
    return taps;
}

// Leave out taps that lie in padding for all places from the one at `near` to the one at `far`.
static inline Taps clipped(Taps taps, const long near, const long far, const long before,
                           const long size) {
    long low = near + taps.begin, high = far + taps.begin;
    while (taps.count && (high < before || low >= before + size)) {
        taps.first += taps.step;
        taps.begin += taps.shift;
        taps.count--;
        low += taps.shift;
        high += taps.shift;
    }
    low = near + taps.begin + (taps.count - 1) * taps.shift;
    high = far + taps.begin + (taps.count - 1) * taps.shift;
    while (taps.count && (high < before || low >= before + size)) {
        taps.count--;
        low -= taps.shift;
        high -= taps.shift;
    }
    return taps;
}

#define SIZE (ROWS * COLUMNS * LANES)  // of a tile
#define TURNED (COLUMNS <= 2 ? COLUMNS : COLUMNS <= 4 ? 4 : 8)  // a power of 2, for transpose()
#define RUN MOST(1, 6144 / (int)(SIZE * sizeof(U)))

// sums (+)= a tile's. Of x and w the places of the first tap, and steps to the next.
OUTLINED void multiply(U *restrict sums, global const U *restrict x, global const U *restrict w,
                       const int channels, const long x_channel, const long w_channel,
                       const int depth, const long x_depth, const long w_depth,
                       const int height, const long x_height, const long w_height,
                       const int width, const long x_width, const long w_width,
                       const long in_step, const bool is_first) {
    VECTOR c[ROWS][COLUMNS];
#pragma unroll
    for (int r = 0; r < ROWS; r++)
#pragma unroll
        for (int q = 0; q < COLUMNS; q++)
            c[r][q] = is_first ? (VECTOR)(0) : *(VECTOR *)(sums + (r * COLUMNS + q) * LANES);
    // what is fewer, rows or columns, stays in registers with the sums
#if ROWS < COLUMNS
#define TAP(xs, ws)                                                                      \
    {                                                                                    \
        U weight[ROWS];                                                                  \
        _Pragma("unroll") for (int r = 0; r < ROWS; r++) weight[r] = (ws)[r];            \
        _Pragma("unroll") for (int q = 0; q < COLUMNS; q++) {                            \
            const VECTOR y = X_TAP(xs, q);                                               \
            _Pragma("unroll") for (int r = 0; r < ROWS; r++) c[r][q] += weight[r] * y;   \
        }                                                                                \
    }
#else
#define TAP(xs, ws)                                                                      \
    {                                                                                    \
        VECTOR y[COLUMNS];                                                               \
        _Pragma("unroll") for (int q = 0; q < COLUMNS; q++) y[q] = X_TAP(xs, q);         \
        _Pragma("unroll") for (int r = 0; r < ROWS; r++) {                               \
            const U weight = (ws)[r];                                                    \
            _Pragma("unroll") for (int q = 0; q < COLUMNS; q++) c[r][q] += weight * y[q]; \
        }                                                                                \
    }
#endif
    for (int i = 0; i < channels; i++, x += x_channel, w += w_channel)
        for (int d = 0; d < depth; d++)
            for (int h = 0; h < height; h++) {
                global const U *restrict xs = x + d * x_depth + h * x_height;
                global const U *restrict ws = w + d * w_depth + h * w_height;
#if TAPS
                if (width == TAPS) {
#pragma unroll
                    for (int k = 0; k < TAPS; k++) TAP(xs + k * x_width, ws + k * w_width);
                    continue;
                }
#endif
                for (int k = 0; k < width; k++, xs += x_width, ws += w_width) TAP(xs, ws);
            }
#pragma unroll
    for (int r = 0; r < ROWS; r++)
#pragma unroll
        for (int q = 0; q < COLUMNS; q++) *(VECTOR *)(sums + (r * COLUMNS + q) * LANES) = c[r][q];
}

kernel ONE_ITEM void convolve(global const S *restrict operand_a, global const S *restrict operand_b,
              const long count, const long groups, const long rows, const long channels,
              DIMS(x), DIMS(padded), DIMS(before), DIMS(y), DIMS(kernel), DIMS(stride),
              DIMS(dilation), DIMS(padding), const long strips, const long strip,
              const long splits, const long deep EPILOGUE_PARAMETERS) {
    EPILOGUE_INIT
    const long tiles = (rows + ROWS - 1) / ROWS;
    const long units = y_depth * y_height * groups * tiles;
    const long block = get_global_id(0) / splits;
    const long share = (units + splits - 1) / splits;
    const long begin = get_global_id(0) % splits * share, end = LEAST(begin + share, units);
    const long x_line = padded_width * LANES, x_plane = padded_height * x_line;
    const long x_channel = padded_depth * x_plane;
    const long w_line = kernel_width * ROWS, w_plane = kernel_height * w_line;
    const long w_channel = kernel_depth * w_plane;
#if TRANSPOSED
    const long step_d = stride_depth, step_h = stride_height, step_w = stride_width;
    const long along_d = 1, along_h = 1, in_step = 1;
#else
    const long step_d = 1, step_h = 1, step_w = 1;
    const long along_d = stride_depth, along_h = stride_height, in_step = stride_width;
#endif
    U all_sums[RUN * SIZE] __attribute__((aligned(64)));
    long images[LANES], firsts[LANES], rightmost = 0;  // of each lane: divisions are slow
    for (int i = 0; i < LANES; i++) {
        images[i] = (block * LANES + i) / strips;
        firsts[i] = (block * LANES + i) % strips * strip;
        rightmost = MOST(rightmost, images[i] < count ? firsts[i] : (1L << 62));
    }
    for (long unit = begin, next; unit < end; unit = next) {
        const long tile = unit % tiles, group = unit / tiles % groups;
        next = LEAST(LEAST(end, unit + RUN), unit - tile + tiles);
        const long y_row = unit / tiles / groups, d = y_row / y_height, h = y_row % y_height;
        const long in_d = d / step_d * along_d, in_h = h / step_h * along_h;
        const Taps td = clipped(taps_of(d % step_d, kernel_depth, stride_depth, dilation_depth,
                                        padding_depth, before_depth),
                                in_d, in_d, before_depth, x_depth);
        const Taps th = clipped(taps_of(h % step_h, kernel_height, stride_height, dilation_height,
                                        padding_height, before_height),
                                in_h, in_h, before_height, x_height);
        global const U *restrict x = (global const U *)operand_a +
                                     (block * groups + group) * channels * x_channel +
                                     (in_d + td.begin) * x_plane + (in_h + th.begin) * x_line;
        global const U *restrict w = (global const U *)operand_b +
                                     (group * tiles + tile) * channels * w_channel +
                                     td.first * w_plane + th.first * w_line;
        for (long phase = 0; phase < step_w; phase++) {
            const Taps all = taps_of(phase, kernel_width, stride_width, dilation_width,
                                     padding_width, before_width);
            const long places = (y_width - phase + step_w - 1) / step_w;  // of all strips
            const long width = LEAST(strip, places);
            for (long j = 0; j < width; j += COLUMNS) {
                const int across = LEAST(COLUMNS, width - j);
                Taps tw = all;
                if (strips == 1)
                    tw = clipped(all, j * STEP, (j + across - 1) * STEP, before_width,
                                 x_width);
                global const U *restrict x_tap = x + (j * STEP + tw.begin) * LANES;
                global const U *restrict w_tap = w + tw.first * ROWS;
                for (long i = 0; i < channels; i += deep)
                    for (long t = 0; t < next - unit; t++)
                        multiply(all_sums + t * SIZE, x_tap + i * x_channel,
                                 w_tap + (t * channels + i) * w_channel,
                                 LEAST(deep, channels - i), x_channel, w_channel, td.count,
                                 td.shift * x_plane, td.step * w_plane, th.count,
                                 th.shift * x_line, th.step * w_line, tw.count,
                                 tw.shift * LANES, tw.step * ROWS, in_step, i == 0);
                const bool is_whole = COLUMNS <= TURNED && TURNED <= LANES && across == COLUMNS &&
                                      step_w == 1 && rightmost <= places - j - COLUMNS;
                for (long t = 0; t < next - unit; t++) {
                    const U *sums = all_sums + t * SIZE;
                    const long row = (tile + t) * ROWS;
                    const int height = LEAST(ROWS, rows - row);
                    for (int r = 0; r < height; r++) {
                        if (is_whole) {
                            VECTOR by_image[TURNED];
#pragma unroll
                            for (int q = 0; q < TURNED; q++)
                                by_image[q] =
                                    q < COLUMNS
                                        ? *(const VECTOR *)(sums + (r * COLUMNS + q) * LANES)
                                        : (VECTOR)(0);
                            transpose(by_image, TURNED);
                            for (int i = 0; i < LANES; i++) {
                                const long place = y_row * y_width + firsts[i] + j;
#pragma unroll
                                for (int q = 0; q < COLUMNS; q++) {
                                    EPILOGUE((C)((const U *)by_image)[i * TURNED + q], images[i],
                                             (group * rows + row + r), (place + q));
                                }
                            }
                            continue;
                        }
                        for (int i = 0; i < LANES; i++) {
                            const long image = images[i], first = firsts[i] + j;
                            const int last = image < count ? LEAST(across, places - first) : 0;
                            const long place = y_row * y_width + phase + first * step_w;
                            for (int q = 0; q < last; q++) {
                                EPILOGUE((C)sums[(r * COLUMNS + q) * LANES + i], image,
                                         (group * rows + row + r), (place + q * step_w));
                            }
                        }
                    }
                }
            }
        }
    }
}
#endif

#if TASK == WEIGHTS
OUTLINED void accumulate(global U *restrict sums, global const U *restrict *x,
                         global const U *restrict *y, const long height, const long width,
                         const long x_line, const long in_step) {
    VECTOR c[ROWS][COLUMNS];
#pragma unroll
    for (int r = 0; r < ROWS; r++)
#pragma unroll
        for (int q = 0; q < COLUMNS; q++) c[r][q] = (VECTOR)(0);
    global const U *restrict xs[COLUMNS];
    global const U *restrict ys[ROWS];
    for (long h = 0; h < height; h++) {
#pragma unroll
        for (int q = 0; q < COLUMNS; q++) xs[q] = x[q] + h * x_line;
#pragma unroll
        for (int r = 0; r < ROWS; r++) ys[r] = y[r] + h * width * LANES;
        for (long w = 0; w < width; w++) {
            VECTOR a[COLUMNS];
#pragma unroll
            for (int q = 0; q < COLUMNS; q++)
                a[q] = *(global const VECTOR *)(xs[q] + w * STEP * LANES);
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                const VECTOR b = *(global const VECTOR *)(ys[r] + w * LANES);
#pragma unroll
                for (int q = 0; q < COLUMNS; q++) c[r][q] += b * a[q];
            }
        }
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++)
#pragma unroll
        for (int q = 0; q < COLUMNS; q++)
            *(global VECTOR *)(sums + (r * COLUMNS + q) * LANES) += c[r][q];
}

kernel ONE_ITEM void weights(global const U *restrict x, global const U *restrict y, global U *restrict sums,
             const long blocks, const long groups, const long rows, const long channels,
             DIMS(padded), DIMS(y), DIMS(kernel), DIMS(stride), DIMS(dilation), const long band,
             const long parts, const long splits) {
    const long tiles = (rows + ROWS - 1) / ROWS;
    const long taps = kernel_depth * kernel_height * kernel_width, pairs = channels * taps;
    const long columns = (pairs + COLUMNS - 1) / COLUMNS, units = groups * tiles * columns;
    const long part = get_global_id(0) / splits;
    const long share = (units + splits - 1) / splits;
    const long begin = get_global_id(0) % splits * share, end = LEAST(begin + share, units);
    const long x_line = padded_width * LANES, x_plane = padded_height * x_line;
    const long x_channel = padded_depth * x_plane;
    const long y_channel = y_depth * y_height * y_width * LANES;
    const long size = ROWS * COLUMNS * LANES;
    global U *all = sums + part * units * size;
    for (long i = begin * size; i < end * size; i++) all[i] = 0;
    for (long block = part; block < blocks; block += parts)
        for (long first = begin; first < end;) {
            // units of one tile, so that bands of y serve them all
            const long last = LEAST(end, (first / columns + 1) * columns);
            const long group = first / columns / tiles, tile = first / columns % tiles;
            for (long d = 0; d < y_depth; d++)
                for (long top = 0; top < y_height; top += band)
                    for (long unit = first; unit < last; unit++) {
                        global const U *restrict xs[COLUMNS];
                        global const U *restrict ys[ROWS];
                        for (int q = 0; q < COLUMNS; q++) {
                            const long pair = LEAST(unit % columns * COLUMNS + q, pairs - 1);
                            const long tap = pair % taps;
                            const long k = tap / (kernel_height * kernel_width);
                            const long i = tap / kernel_width % kernel_height;
                            xs[q] = x + ((block * groups + group) * channels + pair / taps) *
                                            x_channel +
                                    (d * stride_depth + k * dilation_depth) * x_plane +
                                    (top * stride_height + i * dilation_height) * x_line +
                                    tap % kernel_width * dilation_width * LANES;
                        }
                        for (int r = 0; r < ROWS; r++)
                            ys[r] = y +
                                    ((block * groups + group) * rows +
                                     LEAST(tile * ROWS + r, rows - 1)) *
                                        y_channel +
                                    (d * y_height + top) * y_width * LANES;
                        accumulate(all + unit * size, xs, ys, LEAST(band, y_height - top),
                                   y_width, stride_height * x_line, stride_width);
                    }
            first = last;
        }
}
#endif

#if TASK == SUM
kernel ONE_ITEM void convolve(global const S *restrict operand_a, global const S *restrict operand_b,
              const long groups, const long rows, const long pairs, const long parts,
              const long share EPILOGUE_PARAMETERS) {
    EPILOGUE_INIT
    const long tiles = (rows + ROWS - 1) / ROWS, columns = (pairs + COLUMNS - 1) / COLUMNS;
    const long units = groups * tiles * columns, total = groups * rows * pairs;
    const long begin = get_global_id(0) * share;
    for (long element = begin; element < LEAST(begin + share, total); element++) {
        const long row = element / pairs, pair = element % pairs;
        const long unit = (row / rows * tiles + row % rows / ROWS) * columns + pair / COLUMNS;
        const long place = row % rows % ROWS * COLUMNS + pair % COLUMNS;
        VECTOR sum = (VECTOR)(0);
        for (long part = 0; part < parts; part++)
            sum += *(global const VECTOR *)((global const U *)operand_a +
                                            ((part * units + unit) * ROWS * COLUMNS + place) *
                                                LANES);
        U lanes[LANES] __attribute__((aligned(64))), all = 0;
        *(VECTOR *)lanes = sum;
        for (int i = 0; i < LANES; i++) all += lanes[i];
        EPILOGUE((C)all, 0, row, pair);
    }
}
#endif
