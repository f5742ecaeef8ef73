// What every program begins with. float16 is loaded and stored by vload_half and vstore_half_rte,
// which all devices have; bfloat16 is the upper half of a float, rounded to nearest, ties to even.
#ifndef PRELUDE
#define PRELUDE
#ifdef cl_khr_fp64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif

#define ALIGNED __attribute__((aligned(64)))  // to a line of the cache
// To a page: a load whose address ends in the 12 bits of a store before it waits for that, which
// happens, or not, wherever sums happen to lie: column sums of 4096 x 4096 take 3.6 ms or 4.1.
#define PAGED __attribute__((aligned(4096)))
#define ONE_ITEM __attribute__((reqd_work_group_size(1, 1, 1)))  // in each group
#define OUTLINED __attribute__((noinline))  // PoCL compiles functions once, a kernel's body thrice
#define LEAST(x, y) ((x) < (y) ? (x) : (y))  // min() is a call on PoCL

static inline float from_bfloat16(ushort bits) { return as_float((uint)bits << 16); }

static inline ushort to_bfloat16(float x) {
    uint bits = as_uint(x);
    if ((bits & 0x7fffffff) > 0x7f800000) return (ushort)((bits >> 16) | 0x40);  // NaN stays NaN
    return (ushort)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
#endif
