// Windows on contiguous planes of up to three dims (depth, rows, columns; missing ones are of size
// 1): the largest element of each, picking elements by their taps, and adding up what covers each
// element, in the order of taps, without atomics.
//
// `*_rows` are for CPUs: a unit of work is a row, and the inner loops run along columns, so that
// compilers make vectors of them. In the others a unit is an element.
// Work size: a work-item does `share` units in a row; any number of work-items, guarded.
// Macros: S, C, LOAD, STORE; STRIDE: the columns' stride, which may be a constant; SQUARE: windows
// are SQUARE x SQUARE elements without gaps and stay between the sides, or it is 0; APART: windows
// of so many columns lie side by side in all dims and stay between the sides, or it is 0; HAS_TAPS
// (fold); a kernel's name in capitals: the others are not compiled.
// Limits: sizes and strides of planes fit an int; each window covers something. `fold_rows` rounds
// each sum, so half precision needs `fold`.

#define GEOMETRY int4 input, int4 output, int4 window, int4 stride, int4 padding, int4 dilation

// A work-item's units; and where one is: the plane, and in it d, h and w.
#define EACH_UNIT                                                                            \
    for (long unit = (long)get_global_id(0) * share, stop = min(unit + share, units); unit < stop; \
         unit++)
#define ROW(row, size)                      \
    int h = (int)((row) % size.y);          \
    int d = (int)((row) / size.y % size.x); \
    long plane = (row) / size.y / size.x;
#define EACH_ROW(size)                                     \
    long unit = (long)get_global_id(0) * share;            \
    const long stop = min(unit + share, units);            \
    ROW(unit, size)                                        \
    for (; unit < stop; unit++, h = h + 1 < size.y ? h + 1 : 0, \
         d = h ? d : d + 1 < size.x ? d + 1 : 0, plane += !h && !d)
#define ELEMENT(size)             \
    int w = (int)(unit % size.z); \
    ROW(unit / size.z, size)

static inline int is_inside(int at, int n) { return at >= 0 && at < n; }

// The windows whose tap lies inside, if that of window 0 is at `start`: from the first to an end.
static inline int first_window(int start, int stride) {
    return start < 0 ? (stride - 1 - start) / stride : 0;
}

static inline int end_of_windows(int start, int stride, int n, int count) {
    return start >= n ? 0 : min(count, (n - 1 - start) / stride + 1);
}

// The window that has its tap at a place, `from` behind the tap of window 0; -1 if there is none.
static inline int find_window(int from, int stride, int count) {
    int found = from / stride;
    return from >= 0 && found * stride == from && found < count ? found : -1;
}

// Do BODY for each `o` of a row, eight at a time, which compilers make vectors of. The last eight
// begin earlier: some are done twice.
#define EACH_IN_ROW(count, BODY)                                       \
    if (count < 8)                                                     \
        for (int o = 0; o < count; o++) BODY                           \
    else                                                               \
        for (int part = 0; part < count; part += 8) {                  \
            const int first = LEAST(part, count - 8);                    \
            for (int o = first; o < first + 8; o++) BODY               \
        }

#ifdef POOL_MAX_ROWS
#if SQUARE
// The largest of a window's elements, of which the first is at `from`, and its tap.
static inline void find_largest(
    __global const S *restrict from, const int width, __global S *restrict to,
    __global int *restrict best
) {
    C largest = LOAD(from, 0);
    int found = 0;
#pragma unroll
    for (int tap = 1; tap < SQUARE * SQUARE; tap++) {
        const C value = LOAD(from, tap / SQUARE * width + tap % SQUARE);
        const int wins = (value > largest) | (value != value);
        largest = wins ? value : largest;
        found = wins ? tap : found;
    }
    STORE(to, 0, largest);
    *best = found;
}
#endif

__kernel void pool_max_rows(
    __global const S *restrict x, __global S *restrict y, __global int *restrict taps, long units,
    long share, GEOMETRY
) {
    EACH_ROW(output) {
        __global S *restrict to = y + unit * output.z;
        __global int *restrict best = taps + unit * output.z;
#if SQUARE
        const int top = h * stride.y - padding.y, layer = d * stride.x;  // windows are one deep
        if (top >= 0 && top + SQUARE <= input.y) {
            __global const S *restrict from =
                x + ((plane * input.x + layer) * input.y + top) * input.z;
            EACH_IN_ROW(output.z, find_largest(from + o * STRIDE, input.z, to + o, best + o);)
            continue;
        }
#endif
        for (int o = 0; o < output.z; o++) {
            STORE(to, o, (C)0);
            best[o] = -1;
        }
        for (int i = 0; i < window.x; i++)
            for (int j = 0; j < window.y; j++) {
                int at_d = d * stride.x - padding.x + i * dilation.x;
                int at_h = h * stride.y - padding.y + j * dilation.y;
                if (!is_inside(at_d, input.x) || !is_inside(at_h, input.y)) continue;
                __global const S *restrict from =
                    x + ((plane * input.x + at_d) * input.y + at_h) * input.z;
                for (int k = 0; k < window.z; k++) {
                    int at = k * dilation.z - padding.z;
                    int tap = (i * window.y + j) * window.z + k;
                    int end = end_of_windows(at, STRIDE, input.z, output.z);
                    for (int o = first_window(at, STRIDE); o < end; o++) {
                        C value = LOAD(from, o * STRIDE + at);
                        C other = LOAD(to, o);
                        int wins = (best[o] < 0) | (value > other) | (value != value);
                        STORE(to, o, wins ? value : other);
                        best[o] = wins ? tap : best[o];
                    }
                }
            }
    }
}
#endif

#ifdef POOL_MAX
__kernel void pool_max(
    __global const S *restrict x, __global S *restrict y, __global int *restrict taps, long units,
    long share, GEOMETRY
) {
    EACH_UNIT {
        ELEMENT(output)
        C best = 0;
        int found = -1, tap = 0;
        for (int i = 0; i < window.x; i++)
            for (int j = 0; j < window.y; j++)
                for (int k = 0; k < window.z; k++, tap++) {
                    int at_d = d * stride.x - padding.x + i * dilation.x;
                    int at_h = h * stride.y - padding.y + j * dilation.y;
                    int at_w = w * STRIDE - padding.z + k * dilation.z;
                    if (!is_inside(at_d, input.x) || !is_inside(at_h, input.y)) continue;
                    if (!is_inside(at_w, input.z)) continue;
                    long at = ((plane * input.x + at_d) * input.y + at_h) * input.z + at_w;
                    C value = LOAD(x, at);
                    if (found < 0 || value > best || value != value) {
                        best = value;
                        found = tap;
                    }
                }
        STORE(y, unit, best);
        taps[unit] = found;
    }
}
#endif

#ifdef PICK
__kernel void pick(
    __global const S *restrict x, __global const int *restrict taps, __global S *restrict y,
    long units, long share, GEOMETRY
) {
    EACH_UNIT {
        ELEMENT(output)
        int tap = taps[unit];
        int at_w = w * STRIDE - padding.z + tap % window.z * dilation.z;
        int at_h = h * stride.y - padding.y + tap / window.z % window.y * dilation.y;
        int at_d = d * stride.x - padding.x + tap / window.z / window.y * dilation.x;
        long at = ((plane * input.x + at_d) * input.y + at_h) * input.z + at_w;
        STORE(y, unit, LOAD(x, at));
    }
}
#endif

// Adding up: element (batch, channel, taps' index, window's index) of `parts` belongs to the place
// of that tap. `steps` are the strides of `parts` (0 where elements repeat). With HAS_TAPS only
// what belongs to the tap of its window counts, as `taps` has it, row by row.
#if HAS_TAPS
#define PARTS __global const S *restrict parts, __global const int *restrict taps
#define PART(i, window, tap) (taps[window] == (tap) ? LOAD(parts, i) : (C)0)
#else
#define PARTS __global const S *restrict parts
#define PART(i, window, tap) LOAD(parts, i)
#endif

#ifdef FOLD_ROWS
__kernel void fold_rows(
    PARTS, __global S *restrict x, long units, long share, long channels, long offset, long8 steps,
    GEOMETRY
) {
    EACH_ROW(input) {
        long base = offset + plane / channels * steps.s0 + plane % channels * steps.s1;
        __global S *restrict to = x + unit * input.z;
#if APART
        const int o_d = d / window.x, o_h = h / window.y, i = d % window.x, j = h % window.y;
        const int count = o_d < output.x && o_h < output.y ? output.z : 0;
        const long row = ((plane * output.x + o_d) * output.y + o_h) * output.z;
        const int tap = (i * window.y + j) * APART;
        base += i * steps.s2 + j * steps.s3 + o_d * steps.s5 + o_h * steps.s6;
#define WINDOW                                                                            \
    _Pragma("unroll") for (int k = 0; k < APART; k++)                                     \
        to[o * APART + k] = PART(base + k * steps.s4 + o * steps.s7, row + o, tap + k);
        EACH_IN_ROW(count, WINDOW)
        for (int w = count * APART; w < input.z; w++) to[w] = 0;
#else
        for (int w = 0; w < input.z; w++) to[w] = 0;
        for (int i = 0; i < window.x; i++)
            for (int j = 0; j < window.y; j++) {
                int o_d = find_window(d + padding.x - i * dilation.x, stride.x, output.x);
                int o_h = find_window(h + padding.y - j * dilation.y, stride.y, output.y);
                if (o_d < 0 || o_h < 0) continue;
                long first = base + i * steps.s2 + j * steps.s3 + o_d * steps.s5 + o_h * steps.s6;
                long row = ((plane * output.x + o_d) * output.y + o_h) * output.z;
                for (int k = 0; k < window.z; k++) {
                    int at = k * dilation.z - padding.z;
                    int tap = (i * window.y + j) * window.z + k;
                    int begin = first_window(at, STRIDE);
                    int end = end_of_windows(at, STRIDE, input.z, output.z);
                    long from = first + k * steps.s4;
                    if (steps.s7 == 1)  // for vectors, the rest is the same
                        for (int o = begin; o < end; o++)
                            to[o * STRIDE + at] += PART(from + o, row + o, tap);
                    else
                        for (int o = begin; o < end; o++)
                            to[o * STRIDE + at] += PART(from + o * steps.s7, row + o, tap);
                }
            }
#endif
    }
}
#endif

#ifdef FOLD
__kernel void fold(
    PARTS, __global S *restrict x, long units, long share, long channels, long offset, long8 steps,
    GEOMETRY
) {
    EACH_UNIT {
        ELEMENT(input)
        long base = offset + plane / channels * steps.s0 + plane % channels * steps.s1;
        C total = 0;
        int tap = 0;
        for (int i = 0; i < window.x; i++)
            for (int j = 0; j < window.y; j++)
                for (int k = 0; k < window.z; k++, tap++) {
                    int o_d = find_window(d + padding.x - i * dilation.x, stride.x, output.x);
                    int o_h = find_window(h + padding.y - j * dilation.y, stride.y, output.y);
                    int o_w = find_window(w + padding.z - k * dilation.z, STRIDE, output.z);
                    if (o_d < 0 || o_h < 0 || o_w < 0) continue;
                    long row = ((plane * output.x + o_d) * output.y + o_h) * output.z;
                    long from = base + i * steps.s2 + j * steps.s3 + k * steps.s4 +
                                o_d * steps.s5 + o_h * steps.s6 + o_w * steps.s7;
                    total += PART(from, row + o_w, tap);
                }
        STORE(x, unit, total);
    }
}
#endif
