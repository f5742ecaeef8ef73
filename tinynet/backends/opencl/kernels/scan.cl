// Inclusive running results along the middle dim of a contiguous array (outer, size, inner).
//
// A unit of work is one of `chunks` pieces, of `length` places along the dim, of TILE adjacent
// lines. With one chunk, `scan` alone does all. With several, `totals` reduces each chunk into a
// contiguous (outer, chunks, inner) of C, whose running results, again made by `scan`, are the
// `carries` with which every chunk but the first begins.
// Work size: a work-item does `share` units in a row; any number of work-items, guarded.
// Macros: S, C, LOAD, STORE, COMBINE, TILE. Limits: no dim is 0; `carries` unread with one chunk.

typedef struct {
    long chunk;  // which of the chunks
    long total;  // where its total is
    long begin;  // where its first element is
    long count;  // elements along the dim
    int width;   // adjacent lines
} Unit;

static inline C combine(C a, C b) { return COMBINE(a, b); }

static inline Unit find_unit(long unit, long size, long inner, long chunks, long length) {
    long tiles = (inner + TILE - 1) / TILE;
    long first = unit % tiles * TILE;
    long chunk = unit / tiles % chunks;
    long outer = unit / tiles / chunks;
    Unit found;
    found.chunk = chunk;
    found.total = (outer * chunks + chunk) * inner + first;
    found.begin = (outer * size + chunk * length) * inner + first;
    found.count = min(length, size - chunk * length);
    found.width = TILE == 1 ? 1 : (int)min((long)TILE, inner - first);
    return found;
}

__kernel void totals(
    __global const S *restrict x, __global C *restrict sums, long units, long share, long size,
    long inner, long chunks, long length
) {
    long start = get_global_id(0) * share;
    long stop = min(start + share, units);
    for (long u = start; u < stop; u++) {
        Unit unit = find_unit(u, size, inner, chunks, length);
        C running[TILE];
        for (int k = 0; k < unit.width; k++) running[k] = LOAD(x, unit.begin + k);
        for (long i = 1; i < unit.count; i++)
            for (int k = 0; k < unit.width; k++)
                running[k] = combine(running[k], LOAD(x, unit.begin + i * inner + k));
        for (int k = 0; k < unit.width; k++) sums[unit.total + k] = running[k];
    }
}

__kernel void scan(
    __global const S *restrict x, __global S *restrict y, __global const C *restrict carries,
    long units, long share, long size, long inner, long chunks, long length
) {
    long start = get_global_id(0) * share;
    long stop = min(start + share, units);
    for (long u = start; u < stop; u++) {
        Unit unit = find_unit(u, size, inner, chunks, length);
        C running[TILE];
        for (int k = 0; k < unit.width; k++) {
            running[k] = LOAD(x, unit.begin + k);
            if (unit.chunk > 0)
                running[k] = combine(carries[unit.total - inner + k], running[k]);
            STORE(y, unit.begin + k, running[k]);
        }
        for (long i = 1; i < unit.count; i++)
            for (int k = 0; k < unit.width; k++) {
                long at = unit.begin + i * inner + k;
                running[k] = combine(running[k], LOAD(x, at));
                STORE(y, at, running[k]);
            }
    }
}
