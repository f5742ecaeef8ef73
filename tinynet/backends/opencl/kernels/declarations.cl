// The built-in functions that our kernels call, for drivers whose own header of all of them, which
// is 18,000 lines, takes most of a compilation's time. Only for PoCL: see programs.py.
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
typedef ulong size_t;
#define VECTORS(T) typedef T T##2 __attribute__((ext_vector_type(2))); \
    typedef T T##4 __attribute__((ext_vector_type(4))); \
    typedef T T##8 __attribute__((ext_vector_type(8))); \
    typedef T T##16 __attribute__((ext_vector_type(16)));
VECTORS(char) VECTORS(uchar) VECTORS(short) VECTORS(ushort) VECTORS(int) VECTORS(uint)
VECTORS(long) VECTORS(ulong) VECTORS(float) VECTORS(double)
#define INFINITY (__builtin_inff())
#define CLK_LOCAL_MEM_FENCE 1
#define CLK_GLOBAL_MEM_FENCE 2
#define as_float(x) __builtin_astype((x), float)
#define as_double(x) __builtin_astype((x), double)
#define as_int(x) __builtin_astype((x), int)
#define as_uint(x) __builtin_astype((x), uint)
#define as_long(x) __builtin_astype((x), long)
#define as_ulong(x) __builtin_astype((x), ulong)

#define BUILTIN __attribute__((overloadable, const))
#define EACH(DECLARE) DECLARE(float) DECLARE(float4) DECLARE(float8) DECLARE(float16) \
    DECLARE(double) DECLARE(double2) DECLARE(double4) DECLARE(double8)

size_t BUILTIN get_global_id(uint);
size_t BUILTIN get_local_id(uint);
size_t BUILTIN get_group_id(uint);
size_t BUILTIN get_global_size(uint);
size_t BUILTIN get_local_size(uint);
size_t BUILTIN get_num_groups(uint);
void __attribute__((overloadable, convergent)) barrier(uint);
int __attribute__((overloadable)) atomic_inc(volatile global int *);
ulong BUILTIN mul_hi(ulong, ulong);

#define UNARY(T) T BUILTIN exp(T); T BUILTIN exp2(T); T BUILTIN expm1(T); T BUILTIN log(T); \
    T BUILTIN log2(T); T BUILTIN log10(T); T BUILTIN log1p(T); T BUILTIN sin(T); \
    T BUILTIN cos(T); T BUILTIN tan(T); T BUILTIN asin(T); T BUILTIN acos(T); T BUILTIN atan(T); \
    T BUILTIN sinh(T); T BUILTIN cosh(T); T BUILTIN tanh(T); T BUILTIN asinh(T); \
    T BUILTIN acosh(T); T BUILTIN atanh(T); T BUILTIN erf(T); T BUILTIN sqrt(T); \
    T BUILTIN fabs(T); T BUILTIN floor(T); T BUILTIN ceil(T); T BUILTIN rint(T); \
    T BUILTIN trunc(T); T BUILTIN fmod(T, T); T BUILTIN copysign(T, T); T BUILTIN pow(T, T); \
    T BUILTIN atan2(T, T); T BUILTIN fmax(T, T); T BUILTIN fmin(T, T);
EACH(UNARY)
#define LIMITS(T) T BUILTIN min(T, T); T BUILTIN max(T, T);
LIMITS(char) LIMITS(uchar) LIMITS(short) LIMITS(ushort) LIMITS(int) LIMITS(uint) LIMITS(long)
LIMITS(ulong)
#define HALVES(SPACE) float __attribute__((overloadable, pure)) vload_half(size_t, const SPACE half *); \
    void __attribute__((overloadable)) vstore_half_rte(float, size_t, SPACE half *); \
    void __attribute__((overloadable)) vstore_half_rte(double, size_t, SPACE half *);
HALVES(global) HALVES(local) HALVES(private)
