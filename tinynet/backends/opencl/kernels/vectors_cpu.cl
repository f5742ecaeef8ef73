// What stands before whole kernels for CPUs. VECTOR has WIDTH elements of type U.

typedef VECTOR loose __attribute__((aligned(sizeof(U))));  // a vector anywhere in memory

#define LEAST(x, y) ((x) < (y) ? (x) : (y))  // min() is a call on PoCL
#define OUTLINED __attribute__((noinline))  // functions are compiled once, a kernel's body thrice

// WIDTH vectors become the columns of what they were the rows of: log2(WIDTH) perfect shuffles.
static inline void transpose(VECTOR *x) {
#pragma unroll
    for (int round = 1; round < WIDTH; round *= 2) {
        VECTOR y[WIDTH];
#pragma unroll
        for (int i = 0; i < WIDTH / 2; i++) {
            y[2 * i].even = x[i].lo;
            y[2 * i].odd = x[i + WIDTH / 2].lo;
            y[2 * i + 1].even = x[i].hi;
            y[2 * i + 1].odd = x[i + WIDTH / 2].hi;
        }
#pragma unroll
        for (int i = 0; i < WIDTH; i++) x[i] = y[i];
    }
}
