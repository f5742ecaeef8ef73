// Stable argsort of contiguous lines: small blocks sorted by rank, then runs merged two by two.
//
// An ITEM is an element's key, an unsigned integer that orders as the elements do, and its index
// in the line; in one ulong where keys have at most 32 bits. No two items are equal, so sorting
// items is stable. Layout: `x` holds lines of `size` elements' bits, items likewise.
// `sort_blocks` sorts every BLOCK items of a line; `merge_runs` then merges neighbouring runs of
// `width` items. The last pass (LAST: 1) writes indices only.
// Work size: a work-item does `share` units in a row, a unit being a block, or `chunk` items of a
// merge's output; any number of work-items, guarded.
// Macros: K (unsigned, as wide as an element), KIND (0 unsigned, 1 signed, 2 float), INFINITE (bits
// of a float's infinity), IS_WIDE (keys of 64 bits), BLOCK, LAST. Limits: 0 < size < 2**32 - 1.

#define TOP ((K)1 << (8 * sizeof(K) - 1))

#if IS_WIDE
typedef ulong2 ITEM;
#define MAKE(key, index) ((ulong2)(key, index))
#define INDEX(item) ((long)(item).y)
#define LARGEST ((ulong2)(~0UL, ~0UL))
// Part by part: PoCL makes a branch, often mispredicted, of a choice between two vectors.
#define CHOOSE(is_a, a, b) ((ulong2)((is_a) ? (a).x : (b).x, (is_a) ? (a).y : (b).y))
static inline int is_less(ITEM a, ITEM b) { return (a.x < b.x) | ((a.x == b.x) & (a.y < b.y)); }
static inline int in_order(ITEM left, ITEM right) { return left.x <= right.x; }
#else
typedef ulong ITEM;
#define MAKE(key, index) ((ulong)(key) << 32 | (ulong)(index))
#define INDEX(item) ((long)((item) & 0xffffffff))
#define LARGEST (~0UL)
#define CHOOSE(is_a, a, b) ((is_a) ? (a) : (b))
static inline int is_less(ITEM a, ITEM b) { return a < b; }
static inline int in_order(ITEM left, ITEM right) { return left < right; }
#endif

#if LAST
typedef long RESULT;
#define FINISH(item) INDEX(item)
#else
typedef ITEM RESULT;
#define FINISH(item) (item)
#endif

// NaN is the largest, zeros are equal; `flip` (all bits) turns the order around.
static inline K make_key(K bits, K flip) {
#if KIND == 2
    K magnitude = bits & (K)~TOP;
    if (magnitude > INFINITE) bits = ~(K)0;
    else if (magnitude == 0) bits = TOP;
    else bits = bits & TOP ? ~bits : bits | TOP;
#elif KIND == 1
    bits ^= TOP;
#endif
    return bits ^ flip;
}

__kernel void sort_blocks(
    __global const K *restrict x, __global RESULT *restrict out, long units, long share, long size,
    ulong flip
) {
    long start = get_global_id(0) * share;
    long stop = min(start + share, units);
    long blocks = (size + BLOCK - 1) / BLOCK;
    for (long unit = start; unit < stop; unit++) {
        long first = unit % blocks * BLOCK;
        long line = unit / blocks * size;
        int count = (int)min((long)BLOCK, size - first);
        ITEM items[BLOCK];
        for (int i = 0; i < count; i++)
            items[i] = MAKE(make_key(x[line + first + i], (K)flip), first + i);
        for (int i = count; i < BLOCK; i++) items[i] = LARGEST;
        for (int i = 0; i < count; i++) {
            int rank = 0;
            for (int k = 0; k < BLOCK; k++) rank += is_less(items[k], items[i]);
            out[line + first + rank] = FINISH(items[i]);
        }
    }
}

// How many of the first `taken` items of a merge come from `a` (Green et al. 2012, "Merge path").
static inline long split(
    __global const ITEM *a, long a_count, __global const ITEM *b, long b_count, long taken
) {
    long low = max(0L, taken - b_count), high = min(taken, a_count);
    while (low < high) {
        long middle = (low + high) / 2;
        if (in_order(a[middle], b[taken - 1 - middle])) low = middle + 1;
        else high = middle;
    }
    return low;
}

// Items `begin` to `end` of what two neighbouring runs become, that start at `runs`.
static inline void merge(
    __global const ITEM *runs, __global RESULT *out, long a_count, long b_count, long begin,
    long end
) {
    __global const ITEM *a = runs, *b = runs + a_count;
    long i = split(a, a_count, b, b_count, begin), j = begin - i;
    for (; begin < end && i < a_count && j < b_count; begin++) {
        ITEM left = a[i], right = b[j];
        int is_left = in_order(left, right);
        out[begin] = FINISH(CHOOSE(is_left, left, right));
        i += is_left;
        j += !is_left;
    }
    for (; begin < end && i < a_count; begin++) out[begin] = FINISH(a[i++]);
    for (; begin < end; begin++) out[begin] = FINISH(b[j++]);
}

__kernel void merge_runs(
    __global const ITEM *restrict items, __global RESULT *restrict out, long units, long share,
    long size, long chunk, long width
) {
    long start = get_global_id(0) * share;
    long stop = min(start + share, units);
    long chunks = (size + chunk - 1) / chunk;
    for (long unit = start; unit < stop; unit++) {
        long line = unit / chunks * size;
        long begin = unit % chunks * chunk;
        long limit = min(begin + chunk, size);
        while (begin < limit) {
            long pair = begin / (2 * width) * (2 * width);
            long a_count = min(width, size - pair);
            long b_count = min(width, size - pair - a_count);
            long end = min(limit, pair + a_count + b_count);
            merge(
                items + line + pair, out + line + pair, a_count, b_count, begin - pair, end - pair
            );
            begin = end;
        }
    }
}
