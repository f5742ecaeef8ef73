// Functions that generated programs call where one expression of C will not do. They follow NumPy.

// The compiler's own functions become vector instructions in a loop; the library's do not, with PoCL
// and with Intel's driver for CPUs.
#ifdef HAS_BUILTINS
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

// For float32 on CPUs, numbers and vectors of 8: arithmetic alone, several times as fast as the
// library's. The coefficients are those of the smallest relative error (by weighted least squares);
// errors stay below 2 units in the last place for exp, 7 for tanh and erf (0.2 to 0.9 on average).
#define ARITHMETIC(F, I, AS_INT, AS_FLOAT) \
static inline F __attribute__((overloadable)) exp_of(F x) { /* x = n log(2) + r, n whole */ \
    const F magic = (F)12582912.0f; /* 1.5 * 2^23: what is added to it is rounded */ \
    x = x < (F)-104.0f ? (F)-104.0f : x > (F)90.0f ? (F)90.0f : x; \
    const F shifted = x * 1.44269504f + magic, n = shifted - magic; \
    const F r = (x - n * 0.693359375f) + n * 2.12194440e-4f; \
    F p = (F)1.38144621e-3f; \
    p = p * r + 8.36878089e-3f; \
    p = p * r + 4.16683943e-2f; \
    p = p * r + 1.66665201e-1f; \
    p = p * r + 4.99999934e-1f; \
    p = p * r * r + r + 1.0f; \
    const I whole = AS_INT(shifted) - 0x4b400000, part = whole >> 1; \
    return p * AS_FLOAT((part + 127) << 23) * AS_FLOAT((whole - part + 127) << 23); \
} \
static inline F __attribute__((overloadable)) tanh_of(F x) { \
    x = x < (F)-9.01f ? (F)-9.01f : x > (F)9.01f ? (F)9.01f : x; /* where it becomes 1 */ \
    const F s = x * x; \
    F p = (F)-1.220203714e-11f, q = (F)1.287309307e-6f; \
    p = p * s + 3.058305965e-8f; \
    p = p * s + 2.800663738e-5f; \
    p = p * s + 3.868287086e-3f; \
    p = p * s + 1.367988268e-1f; \
    p = p * s + 1.0f; \
    q = q * s + 3.938559345e-4f; \
    q = q * s + 2.724569017e-2f; \
    q = q * s + 4.701321475e-1f; \
    q = q * s + 1.0f; \
    const F y = x * p / q; \
    return x == 9.01f || y > 1.0f ? (F)1.0f : x == -9.01f || y < -1.0f ? (F)-1.0f : y; \
} \
static inline F __attribute__((overloadable)) erf_of(F x) { \
    x = x < (F)-3.92f ? (F)-3.92f : x > (F)3.92f ? (F)3.92f : x; \
    const F s = x * x; \
    F p = (F)2.041934218e-6f, q = (F)3.800274599e-5f; \
    p = p * s + 2.847904587e-4f; \
    p = p * s + 3.779165388e-3f; \
    p = p * s + 5.278887940e-2f; \
    p = p * s + 1.907746599e-1f; \
    p = p * s + 1.128379145f; \
    q = q * s + 1.165090028e-3f; \
    q = q * s + 1.499655112e-2f; \
    q = q * s + 1.142535578e-1f; \
    q = q * s + 5.024023621e-1f; \
    q = q * s + 1.0f; \
    const F y = x * p / q; \
    return x == 3.92f || y > 1.0f ? (F)1.0f : x == -3.92f || y < -1.0f ? (F)-1.0f : y; \
}
ARITHMETIC(float, int, as_int, as_float)
ARITHMETIC(float8, int8, as_int8, as_float8)

// PoCL's are wrong for angles up to 2^-7 that share a vector with one from 2^23 on.
#define ANGLE(NAME, F, SERIES) \
static inline F __attribute__((overloadable)) NAME##_of(F x) { \
    return fabs(x) < (F)0.0079f ? SERIES : NAME(fabs(x) < (F)0.0079f ? (F)1.0f : x); \
}
#define ANGLES(F) \
ANGLE(sin, F, x * (1.0f - x * x * 0.166666667f)) \
ANGLE(cos, F, 1.0f - x * x * 0.5f) \
ANGLE(tan, F, x * (1.0f + x * x * 0.333333333f))
ANGLES(float)
ANGLES(float8)

// PoCL's takes the larger number's reciprocal for 0 where that is denormal.
#define ATAN2(F, LARGE) \
static inline F __attribute__((overloadable)) atan2_of(F a, F b) { \
    const F scale = fabs(a) > (F)LARGE || fabs(b) > (F)LARGE ? (F)0.0625f : (F)1.0f; \
    return atan2(a * scale, b * scale); \
}
ATAN2(float, 0x1p124f)
ATAN2(float8, 0x1p124f)
#ifdef cl_khr_fp64
ATAN2(double, 0x1p1020)
ATAN2(double4, 0x1p1020)
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
