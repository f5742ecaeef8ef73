// What stands before whole kernels for CPUs. VECTOR has WIDTH elements of type U.

typedef VECTOR loose __attribute__((aligned(sizeof(U))));  // a vector anywhere in memory

// Rows of vectors, `count` of them (a power of 2), become columns, which lie one after the other as
// rows did: log2(count) perfect shuffles.
static inline __attribute__((always_inline)) void transpose(VECTOR *x, const int count) {
#pragma unroll
    for (int round = 1; round < count; round *= 2) {
        VECTOR y[WIDTH];
#pragma unroll
        for (int i = 0; i < count / 2; i++) {
            y[2 * i].even = x[i].lo;
            y[2 * i].odd = x[i + count / 2].lo;
            y[2 * i + 1].even = x[i].hi;
            y[2 * i + 1].odd = x[i + count / 2].hi;
        }
#pragma unroll
        for (int i = 0; i < count; i++) x[i] = y[i];
    }
}
