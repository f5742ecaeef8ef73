// Random bits: Philox4x64-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"),
// in the order of numpy.random.Philox.
//
// Layout: `out` holds `blocks` blocks of four 64-bit words, block i being that of counter
// `first + i`; words are least significant first. Read as 32-bit words, the low half comes first
// (on little-endian devices, which all known ones are).
// Work size: a work-item makes `chunk` blocks in a row; any number of work-items, guarded.
// Macros: IS_CPU. Limits: `out` has room for whole blocks.

#define ROUNDS 10

// The lower half of a product, and its upper half in `high`.
static inline ulong multiply(ulong a, ulong b, ulong *high) {
#if IS_CPU && defined(__SIZEOF_INT128__)  // PoCL: one instruction, where mul_hi is twenty
    unsigned __int128 product = (unsigned __int128)a * b;
    *high = (ulong)(product >> 64);
    return (ulong)product;
#else
    *high = mul_hi(a, b);
    return a * b;
#endif
}

// `first + i` in 256 bits.
static inline ulong4 add_counter(ulong4 first, ulong i) {
    ulong4 sum = first;
    sum.s0 += i;
    ulong carry = sum.s0 < i;
    sum.s1 += carry;
    carry = carry && sum.s1 == 0;
    sum.s2 += carry;
    carry = carry && sum.s2 == 0;
    sum.s3 += carry;
    return sum;
}

// Words one by one: PoCL multiplies the elements of a vector more slowly.
static inline ulong4 philox(ulong4 counter, ulong key0, ulong key1) {
    ulong a = counter.s0, b = counter.s1, c = counter.s2, d = counter.s3, high_a, high_c;
    for (int round = 0; round < ROUNDS; round++) {
        ulong low_a = multiply(0xD2E7470EE14C6C93UL, a, &high_a);
        ulong low_c = multiply(0xCA5A826395121157UL, c, &high_c);
        a = high_c ^ b ^ key0;
        b = low_c;
        c = high_a ^ d ^ key1;
        d = low_a;
        key0 += 0x9E3779B97F4A7C15UL;
        key1 += 0xBB67AE8584CAA73BUL;
    }
    return (ulong4)(a, b, c, d);
}

__kernel void random_bits(
    __global ulong4 *out, long blocks, long chunk, ulong key0, ulong key1, ulong first0,
    ulong first1, ulong first2, ulong first3
) {
    long begin = get_global_id(0) * chunk;
    long end = min(begin + chunk, blocks);
    ulong4 first = (ulong4)(first0, first1, first2, first3);
    for (long i = begin; i < end; i++) out[i] = philox(add_counter(first, i), key0, key1);
}
