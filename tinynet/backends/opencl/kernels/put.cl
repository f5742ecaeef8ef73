// In place `target[indices] = values`, or combined with what is there, update after update.
//
// Update u, of `n`, touches the places of the dims that are not indexed ("kept", `inner` places in
// all, of any strides) at `offsets[u]` in the target; its values begin at `u * step`. `add_index`
// makes the offsets, one launch for each indexed dim. In `put`, a unit of work is a part of the
// kept places, of `width`, and a part of the offsets: it alone applies the updates there, in
// order, and passes over the others. In `put_sorted` it is the updates of one place: `order` sorts
// the offsets, and whoever comes to the first of a run of equal ones applies the run, the others
// none. So nothing races, and the result is the same each time.
// Work size: a work-item does `share` units in a row; any number of work-items, guarded.
// Macros: S, C, LOAD, STORE, COMBINE, IS_SET (1: values replace), KEPT (dims that are kept, up to
// 8, at least 1). Limits: indices are in range; parts < 2**32; `values` do not overlap `target`.

#ifndef S  // no dtype: a program of its own, which all dtypes share

__kernel void add_index(
    __global long *restrict offsets, __global const long *restrict index, long n, long share,
    long size, long stride, long first, int is_first
) {
    long start = get_global_id(0) * share;
    long stop = min(start + share, n);
    for (long u = start; u < stop; u++) {
        long place = (index[u] < 0 ? index[u] + size : index[u]) * stride;
        offsets[u] = place + (is_first ? first : offsets[u]);
    }
}

#else

#if IS_SET
#define COMBINED(p, i, value) (value)
#else
static inline C combine(C a, C b) { return COMBINE(a, b); }
#define COMBINED(p, i, value) combine(LOAD(p, i), value)
#endif

// Which part of the offsets one is in: alike or in a row, they are spread over all (Knuth).
static inline uint find_part(long offset, uint parts) {
    uint hash = (uint)offset * 2654435769u;
    return (uint)((ulong)hash * parts >> 32);
}

// Apply an update to the kept places `begin` to `end`.
static inline void apply(
    __global S *restrict target, __global const S *restrict values, long begin, long end,
    const long *sizes, const long *target_strides, const long *values_strides
) {
    long to = target_strides[KEPT - 1], from = values_strides[KEPT - 1];
    while (begin < end) {  // one run along the last dim after the other
        long target_at = 0, values_at = 0, first = begin, last = end;
#if KEPT > 1
        long rest = begin / sizes[KEPT - 1];
        first = begin - rest * sizes[KEPT - 1];
        last = min(sizes[KEPT - 1], first + end - begin);
        for (int d = KEPT - 2; d >= 0; d--) {
            target_at += rest % sizes[d] * target_strides[d];
            values_at += rest % sizes[d] * values_strides[d];
            rest /= sizes[d];
        }
#endif
        for (long i = first; i < last; i++) {
            long at = target_at + i * to;
            C value = LOAD(values, values_at + i * from);
            STORE(target, at, COMBINED(target, at, value));
        }
        begin += last - first;
    }
}

__kernel void put(
    __global S *restrict target, __global const S *restrict values,
    __global const long *restrict offsets, long units, long share, long n, long step, long inner,
    long width, uint parts, long8 sizes, long8 target_strides, long8 values_strides
) {
    long start = get_global_id(0) * share;
    long stop = min(start + share, units);
    long pieces = (inner + width - 1) / width;
    for (long unit = start; unit < stop; unit++) {
        long begin = unit % pieces * width;
        long end = min(begin + width, inner);
        uint part = (uint)(unit / pieces);
        for (long u = 0; u < n; u++)
            if (find_part(offsets[u], parts) == part)
                apply(
                    target + offsets[u], values + u * step, begin, end, (const long *)&sizes,
                    (const long *)&target_strides, (const long *)&values_strides
                );
    }
}

__kernel void put_sorted(
    __global S *restrict target, __global const S *restrict values,
    __global const long *restrict offsets, __global const long *restrict order, long units,
    long share, long n, long step, long inner, long width, long8 sizes, long8 target_strides,
    long8 values_strides
) {
    long start = get_global_id(0) * share;
    long stop = min(start + share, units);
    long pieces = (inner + width - 1) / width;
    for (long unit = start; unit < stop; unit++) {
        long begin = unit % pieces * width;
        long end = min(begin + width, inner);
        long first = unit / pieces, offset = offsets[order[first]];
        if (first > 0 && offsets[order[first - 1]] == offset) continue;
        for (long i = first; i < n && offsets[order[i]] == offset; i++)
            apply(
                target + offset, values + order[i] * step, begin, end, (const long *)&sizes,
                (const long *)&target_strides, (const long *)&values_strides
            );
    }
}

#endif
