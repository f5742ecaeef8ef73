// Functions that generated programs call where one expression of C will not do. They follow NumPy.

// The compiler's own functions become vector instructions in a loop, PoCL's library functions do not.
#ifdef IS_POCL
#define OWN(NAME) static inline float __attribute__((overloadable)) NAME##_of(float x) { \
    return __builtin_##NAME##f(x); \
} \
static inline double __attribute__((overloadable)) NAME##_of(double x) { return __builtin_##NAME(x); }
OWN(sqrt) OWN(fabs) OWN(floor) OWN(ceil) OWN(rint) OWN(trunc)
#else
#define sqrt_of sqrt
#define fabs_of fabs
#define floor_of floor
#define ceil_of ceil
#define rint_of rint
#define trunc_of trunc
#endif

static inline float round_bfloat16(float x) { return from_bfloat16(to_bfloat16(x)); }

static inline float round_float16(float x) {
    ushort bits[1];
    vstore_half_rte(x, 0, (half *)bits);
    return vload_half(0, (half *)bits);
}

// Integers: the quotient rounded down; the remainder has the divisor's sign. Nothing is divided by
// 0, and not by -1 either, where the smallest number has no quotient.
#define FLOOR_DIVIDE(C, U, a, b) ((b) == 0 ? (C)0 : (b) < 0 && (b) == (C)-1 ? (C)(0 - (U)(a)) : \
    (C)((a) / (b) - ((a) % (b) != 0 && ((a) < 0) != ((b) < 0))))
#define REMAINDER(C, a, b) ((b) == 0 || (b) < 0 && (b) == (C)-1 ? (C)0 : \
    (C)((a) % (b) + ((a) % (b) != 0 && ((a) < 0) != ((b) < 0) ? (b) : (C)0)))

static inline ulong power_unsigned(ulong base, ulong exponent) {
    ulong result = 1;
    for (; exponent; exponent >>= 1, base *= base)
        if (exponent & 1) result *= base;
    return result;
}

static inline long power_signed(long base, long exponent) {  // to a negative power: rounded toward 0
    if (exponent >= 0) return (long)power_unsigned((ulong)base, (ulong)exponent);
    return base == 1 ? 1 : base == -1 ? (exponent & 1 ? -1 : 1) : 0;
}

#define FLOAT_FUNCTIONS(T) \
static inline T __attribute__((overloadable)) remainder_of(T a, T b) { \
    T rest = fmod(a, b); \
    if (rest == 0) return b == b && b != 0 ? copysign((T)0, b) : rest; \
    return (b < 0) != (rest < 0) ? rest + b : rest; \
} \
static inline T __attribute__((overloadable)) floor_divide(T a, T b) { \
    if (b == 0) return a / b; \
    T rest = fmod(a, b), quotient = (a - rest) / b; \
    if (rest != 0 && (b < 0) != (rest < 0)) quotient -= 1; \
    if (quotient == 0) return copysign((T)0, a / b); \
    T whole = floor(quotient); \
    return quotient - whole > (T)0.5 ? whole + 1 : whole; \
} \
static inline T __attribute__((overloadable)) logaddexp(T a, T b) { \
    if (a == b) return a + log((T)2); \
    T gap = a - b; \
    return gap > 0 ? a + log1p(exp(-gap)) : gap <= 0 ? b + log1p(exp(gap)) : gap; \
}
FLOAT_FUNCTIONS(float)
#ifdef cl_khr_fp64
FLOAT_FUNCTIONS(double)

static inline float __attribute__((overloadable)) round_float16_once(double x) {
    ushort bits[1];
    vstore_half_rte(x, 0, (half *)bits);
    return vload_half(0, (half *)bits);
}
#endif
static inline float __attribute__((overloadable)) round_float16_once(long x) {
    return round_float16((float)x);
}
static inline float __attribute__((overloadable)) round_float16_once(ulong x) {
    return round_float16((float)x);
}
