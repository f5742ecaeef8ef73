// Computes any formula of generated kernels, slowly: one program for all, so nothing is compiled.
//
// A work-item takes points of the outer dims, one after the other. At each it runs the nodes that
// are the same all along the inner dims, then for each stage of reductions a loop over the inner
// dims, at last a loop that stores. Floats are computed in double and rounded to their dtype after
// each operation, integers in 64 bits and wrapped to theirs.
//
// code: n_nodes, n_outer, n_inner, n_stages, n_outputs, has_full_output; then NODE_WORDS for each
//     node: operation, operands' dtype, result's dtype, is_full, stage, a, b, c (or, for a take, its
//     access, how many indices, and where in the code their nodes are); then for each output: node,
//     access, buffer, is_full; then the takes' nodes.
// numbers: sizes of the dims; for each access its offset and strides; then scalars and picks, which
//     nodes point at. Doubles are passed as their bits.
// Limits: MOST_NODES nodes, MOST_DIMS dims, 16 buffers. Work size: any.
// Operations and dtypes are macros (OP_ADD, T_FLOAT32, ...). Without HAS_ALL the seldom functions of
// floats are missing, which take a third of the compilation.

#pragma OPENCL FP_CONTRACT OFF
#define NODE_WORDS 8
#define HEAD_WORDS 6
#define BUFFERS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define PARAMETER(i) , global uchar *p##i
#define ARGUMENT(i) , p##i
#define CASE(i) case i: return p##i;

static inline global uchar *buffer_of(int i BUFFERS(PARAMETER)) {
    switch (i) { BUFFERS(CASE) }
    return p0;
}

static inline bool is_float_type(int t) { return t >= T_FLOAT16; }

static inline double rounded(double x, int t) {
    switch (t) {
    case T_FLOAT16: return (double)round_float16((float)x);
    case T_BFLOAT16: return (double)round_bfloat16((float)x);
    case T_FLOAT32: return (double)(float)x;
    }
    return x;
}

static inline long wrapped(long x, int t) {
    switch (t) {
    case T_BOOL: return x != 0;
    case T_UINT8: return (uchar)x;
    case T_UINT16: return (ushort)x;
    case T_UINT32: return (uint)x;
    case T_INT8: return (char)x;
    case T_INT16: return (short)x;
    case T_INT32: return (int)x;
    }
    return x;
}

static inline ulong load(global uchar *p, long i, int t) {
    switch (t) {
    case T_BOOL: case T_UINT8: return (ulong)p[i];
    case T_UINT16: return (ulong)((global ushort *)p)[i];
    case T_UINT32: return (ulong)((global uint *)p)[i];
    case T_INT8: return (ulong)(long)((global char *)p)[i];
    case T_INT16: return (ulong)(long)((global short *)p)[i];
    case T_INT32: return (ulong)(long)((global int *)p)[i];
    case T_UINT64: case T_INT64: return ((global ulong *)p)[i];
    case T_FLOAT16: return as_ulong((double)vload_half(i, (global half *)p));
    case T_BFLOAT16: return as_ulong((double)from_bfloat16(((global ushort *)p)[i]));
    case T_FLOAT32: return as_ulong((double)((global float *)p)[i]);
    }
    return as_ulong(((global double *)p)[i]);
}

static inline void store(global uchar *p, long i, int t, ulong x) {
    switch (t) {
    case T_BOOL: case T_UINT8: case T_INT8: p[i] = (uchar)x; break;
    case T_UINT16: case T_INT16: ((global ushort *)p)[i] = (ushort)x; break;
    case T_UINT32: case T_INT32: ((global uint *)p)[i] = (uint)x; break;
    case T_UINT64: case T_INT64: ((global ulong *)p)[i] = x; break;
    case T_FLOAT16: vstore_half_rte((float)as_double(x), i, (global half *)p); break;
    case T_BFLOAT16: ((global ushort *)p)[i] = to_bfloat16((float)as_double(x)); break;
    case T_FLOAT32: ((global float *)p)[i] = (float)as_double(x); break;
    default: ((global double *)p)[i] = as_double(x);
    }
}

static inline double of_floats(int op, double a, double b) {
    switch (op) {
    case OP_ADD: return a + b;
    case OP_SUB: return a - b;
    case OP_MUL: return a * b;
    case OP_DIV: return a / b;
    case OP_NEG: return -a;
    case OP_ABS: return fabs(a);
    case OP_SIGN: return a != a ? a : (double)((a > 0) - (a < 0));
    case OP_SQUARE: return a * a;
    case OP_SQRT: return sqrt(a);
    case OP_RSQRT: return 1 / sqrt(a);
    case OP_RECIPROCAL: return 1 / a;
    case OP_EXP: return exp(a);
    case OP_LOG: return log(a);
    case OP_TANH: return tanh(a);
    case OP_SIGMOID: return 1 / (1 + exp(-a));
    case OP_LOGIT: return log(a / (1 - a));
    case OP_FLOOR: return floor(a);
    case OP_CEIL: return ceil(a);
    case OP_ROUND: return rint(a);
    case OP_TRUNC: return trunc(a);
    case OP_MAXIMUM: return a >= b || a != a ? a : b;
    case OP_MINIMUM: return a <= b || a != a ? a : b;
    case OP_COPYSIGN: return copysign(a, b);
#ifdef HAS_ALL
    case OP_EXP2: return exp2(a);
    case OP_EXPM1: return expm1(a);
    case OP_LOG2: return log2(a);
    case OP_LOG10: return log10(a);
    case OP_LOG1P: return log1p(a);
    case OP_SIN: return sin(a);
    case OP_COS: return cos(a);
    case OP_TAN: return tan(a);
    case OP_ASIN: return asin(a);
    case OP_ACOS: return acos(a);
    case OP_ATAN: return atan(a);
    case OP_SINH: return sinh(a);
    case OP_COSH: return cosh(a);
    case OP_ASINH: return asinh(a);
    case OP_ACOSH: return acosh(a);
    case OP_ATANH: return atanh(a);
    case OP_ERF: return erf(a);
    case OP_POW: return pow(fabs(a) < DBL_MIN ? a * 0 : a, b);
    case OP_ATAN2: return atan2_of(a, b);
    case OP_LOGADDEXP: return logaddexp(a, b);
    case OP_FLOOR_DIVIDE: return floor_divide(a, b);
    case OP_REMAINDER: return remainder_of(a, b);
    case OP_FMOD: return fmod(a, b);
#endif
    }
    return a;
}

static inline long of_integers(int op, long a, long b, int t) {
    const bool is_wide = t == T_UINT64;  // its upper half looks negative here
    const bool is_signed = t >= T_INT8;
    const ulong bits = t == T_BOOL || t == T_UINT8 || t == T_INT8 ? 8
        : t == T_UINT16 || t == T_INT16 ? 16 : t == T_UINT32 || t == T_INT32 ? 32 : 64;
    if (t == T_BOOL) {
        switch (op) {
        case OP_ADD: return a | b;
        case OP_POW: return a | !b;
        case OP_INVERT: return !a;
        }
    }
    switch (op) {
    case OP_ADD: return (long)((ulong)a + (ulong)b);
    case OP_SUB: return (long)((ulong)a - (ulong)b);
    case OP_MUL: return (long)((ulong)a * (ulong)b);
    case OP_NEG: return (long)(0 - (ulong)a);
    case OP_ABS: return a < 0 && !is_wide ? (long)(0 - (ulong)a) : a;
    case OP_SIGN: return is_wide ? a != 0 : (a > 0) - (a < 0);
    case OP_SQUARE: return (long)((ulong)a * (ulong)a);
    case OP_FLOOR_DIVIDE:
        return is_wide ? (long)FLOOR_DIVIDE(ulong, ulong, (ulong)a, (ulong)b)
                       : FLOOR_DIVIDE(long, ulong, a, b);
    case OP_REMAINDER:
        return is_wide ? (long)REMAINDER(ulong, (ulong)a, (ulong)b) : REMAINDER(long, a, b);
    case OP_FMOD:
        if (b == 0 || (b == -1 && !is_wide)) return 0;
        return is_wide ? (long)((ulong)a % (ulong)b) : a % b;
    case OP_POW:
        return is_signed ? power_signed(a, b) : (long)power_unsigned((ulong)a, (ulong)b);
    case OP_MAXIMUM: return is_wide ? ((ulong)a >= (ulong)b ? a : b) : max(a, b);
    case OP_MINIMUM: return is_wide ? ((ulong)a <= (ulong)b ? a : b) : min(a, b);
    case OP_INVERT: return ~a;
    case OP_BITWISE_AND: return a & b;
    case OP_BITWISE_OR: return a | b;
    case OP_BITWISE_XOR: return a ^ b;
    case OP_LEFT_SHIFT: return (ulong)b >= bits ? 0 : (long)((ulong)a << b);
    case OP_RIGHT_SHIFT:
        if ((ulong)b >= bits) return a < 0 && is_signed ? -1 : 0;
        return is_wide ? (long)((ulong)a >> b) : a >> b;
    }
    return a;
}

static inline long answer(int op, ulong a, ulong b, int t) {  // questions and comparisons
    const bool is_float = is_float_type(t), is_wide = t == T_UINT64;
    const double x = as_double(a), y = as_double(b);
    const bool is_zero = is_float ? x == 0 : a == 0, other_is_zero = is_float ? y == 0 : b == 0;
    const bool is_less = is_float ? x < y : is_wide ? a < b : (long)a < (long)b;
    const bool is_equal = is_float ? x == y : a == b;
    const bool is_more = is_float ? x > y : is_wide ? a > b : (long)a > (long)b;
    switch (op) {
    case OP_EQ: return is_equal;
    case OP_NE: return !is_equal;
    case OP_LT: return is_less;
    case OP_LE: return is_less || is_equal;
    case OP_GT: return is_more;
    case OP_GE: return is_more || is_equal;
    case OP_LOGICAL_NOT: return is_zero;
    case OP_LOGICAL_AND: return !is_zero && !other_is_zero;
    case OP_LOGICAL_OR: return !is_zero || !other_is_zero;
    case OP_LOGICAL_XOR: return is_zero != other_is_zero;
    case OP_ISNAN: return is_float && x != x;
    case OP_ISINF: return is_float && fabs(x) == INFINITY;
    }
    return !is_float || fabs(x) < INFINITY;  // isfinite
}

static inline ulong converted(ulong x, int from, int to) {
    if (is_float_type(from)) {
        const double value = as_double(x);
        if (to == T_BOOL) return value != 0;
        if (is_float_type(to)) return as_ulong(to == T_FLOAT16 && from == T_FLOAT64
                ? (double)round_float16_once(value) : rounded(value, to));
        // out of range as in `primitives.cast`
        const bool is_wide = to == T_UINT32 || to == T_UINT64 || to == T_INT64;
        return (ulong)wrapped(to == T_UINT64 && value >= 0 ? (long)(ulong)value
                : is_wide ? (long)value : (long)(int)value, to);
    }
    if (to == T_BOOL) return x != 0;
    if (!is_float_type(to)) return (ulong)wrapped((long)x, to);
    if (to == T_FLOAT64) return as_ulong(from == T_UINT64 ? (double)x : (double)(long)x);
    const float once = from == T_UINT64 ? (float)x : (float)(long)x;
    return as_ulong(rounded((double)once, to));
}

// A reduction's step; sums of float16 and float32 run in double.
static inline ulong combined(int op, ulong a, ulong b, int t) {
    if (is_float_type(t)) {
        const double x = as_double(a), y = as_double(b);
        switch (op) {
        case OP_SUM: return as_ulong(x + y);
        case OP_PROD: return as_ulong(t == T_FLOAT64 ? x * y : (double)(float)(x * y));
        case OP_MAX: return y > x || y != y ? b : a;
        }
        return y < x || y != y ? b : a;
    }
    const bool is_wide = t == T_UINT64;
    switch (op) {
    case OP_SUM: return t == T_BOOL ? a | b : a + b;
    case OP_PROD: return a * b;
    case OP_ANY: return a | b;
    case OP_ALL: return a & b;
    case OP_MAX: return is_wide ? max(a, b) : (ulong)max((long)a, (long)b);
    }
    return is_wide ? min(a, b) : (ulong)min((long)a, (long)b);
}

static inline long position(global const long *access, const long *x, int n_dims) {
    long at = access[0];
    for (int d = 0; d < n_dims; d++) at += x[d] * access[d + 1];
    return at;
}

#define ACCESS(i) (numbers + n_dims + (i) * (n_dims + 1))

static inline ulong node_value(global const int *code, global const int *node, global const long *numbers,
                        const ulong *r, const long *x, int n_dims BUFFERS(PARAMETER)) {
    const int op = node[0], from = node[1], to = node[2];
    switch (op) {
    case OP_SCALAR: return (ulong)numbers[node[5]];
    case OP_LEAF:
        return load(buffer_of(node[6] BUFFERS(ARGUMENT)), position(ACCESS(node[5]), x, n_dims), to);
    case OP_IOTA: {
        const long at = position(ACCESS(node[5]), x, n_dims);
        global const long *scalars = numbers + node[6];
        if (is_float_type(to))
            return as_ulong(rounded(as_double(scalars[0]) + at * as_double(scalars[1]), to));
        return (ulong)wrapped(scalars[0] + at * scalars[1], to);
    }
    case OP_TAKE: {
        global const int *list = code + node[7];  // buffer, picks, indices and their signs
        long at = position(ACCESS(node[5]), x, n_dims);
        global const long *picks = numbers + list[1];
        for (int i = 0; i < node[6]; i++) {
            long index = (long)r[list[2 + i]];
            if (index < 0) index += picks[2 * i + 1];
            at += index * picks[2 * i];
        }
        return load(buffer_of(list[0] BUFFERS(ARGUMENT)), at, to);
    }
    case OP_CAST: return converted(r[node[5]], from, to);
    case OP_LOAD: return r[node[5]];
    case OP_WHERE: return r[node[5]] ? r[node[6]] : r[node[7]];
    }
    const ulong a = r[node[5]], b = node[6] >= 0 ? r[node[6]] : 0;
    if (op >= OP_EQ && op <= OP_ISFINITE) return (ulong)answer(op, a, b, from);
    if (is_float_type(from)) return as_ulong(rounded(of_floats(op, as_double(a), as_double(b)), from));
    return (ulong)wrapped(of_integers(op, (long)a, (long)b, from), from);
}

kernel void interpret(global const int *code, global const long *numbers, const long count
                      BUFFERS(PARAMETER)) {
    const int n_nodes = code[0], n_outer = code[1], n_inner = code[2], n_stages = code[3];
    const int n_outputs = code[4], has_full_output = code[5], n_dims = n_outer + n_inner;
    global const int *nodes = code + HEAD_WORDS;
    global const int *outputs = nodes + n_nodes * NODE_WORDS;
    ulong r[MOST_NODES];
    long x[MOST_DIMS];
    long inner = 1;
    for (int d = n_outer; d < n_dims; d++) inner *= numbers[d];
    for (long item = get_global_id(0); item < count; item += get_global_size(0)) {
        long rest = item;
        for (int d = n_outer - 1; d >= 0; d--) { x[d] = rest % numbers[d]; rest /= numbers[d]; }
        for (int d = n_outer; d < n_dims; d++) x[d] = 0;
        for (int stage = 0; stage <= n_stages + has_full_output; stage++) {
            const bool is_last = stage > n_stages;
            if (stage > 0) {
                for (int n = 0; n < n_nodes; n++) {
                    global const int *node = nodes + n * NODE_WORDS;
                    if (node[0] >= OP_SUM && node[4] == stage) r[n] = (ulong)numbers[node[6]];
                }
                for (long point = 0; point < inner; point++) {
                    long left = point;
                    for (int d = n_dims - 1; d >= n_outer; d--) {
                        x[d] = left % numbers[d];
                        left /= numbers[d];
                    }
                    for (int n = 0; n < n_nodes; n++) {
                        global const int *node = nodes + n * NODE_WORDS;
                        if (node[0] >= OP_SUM) {
                            if (node[4] == stage) r[n] = combined(node[0], r[n], r[node[5]], node[1]);
                        } else if (node[3] && node[4] < stage) {
                            r[n] = node_value(code, node, numbers, r, x, n_dims BUFFERS(ARGUMENT));
                        }
                    }
                    for (int o = 0; is_last && o < n_outputs; o++) {
                        global const int *output = outputs + 4 * o;
                        if (!output[3]) continue;
                        store(buffer_of(output[2] BUFFERS(ARGUMENT)),
                              position(ACCESS(output[1]), x, n_dims),
                              nodes[output[0] * NODE_WORDS + 2], r[output[0]]);
                    }
                }
                for (int d = n_outer; d < n_dims; d++) x[d] = 0;
            }
            for (int n = 0; n < n_nodes && !is_last; n++) {
                global const int *node = nodes + n * NODE_WORDS;
                if (node[4] != stage || node[3]) continue;
                if (node[0] < OP_SUM)
                    r[n] = node_value(code, node, numbers, r, x, n_dims BUFFERS(ARGUMENT));
                else if (is_float_type(node[2]))
                    r[n] = as_ulong(rounded(as_double(r[n]), node[2]));
                else
                    r[n] = (ulong)wrapped((long)r[n], node[2]);
            }
        }
        for (int o = 0; o < n_outputs; o++) {
            global const int *output = outputs + 4 * o;
            if (output[3]) continue;
            store(buffer_of(output[2] BUFFERS(ARGUMENT)), position(ACCESS(output[1]), x, n_dims),
                  nodes[output[0] * NODE_WORDS + 2], r[output[0]]);
        }
    }
}
