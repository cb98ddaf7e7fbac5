/* What memory holds, what arithmetic uses, and the activation: shared by all of engine `cpu`.
 *
 * A library is compiled for one dtype: float32, -DFLOAT64, or -DBFLOAT16, where memory holds bfloat16 while state, u
 * and the arithmetic stay float32 (in bfloat16 itself u = 2^(1/784) would round to 1); and for one activation,
 * -DRELU, -DTANH, -DLEAKY_RELU or -DIDENTITY: what nobody uses is not waited for.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

/* Chains never depend on each other, though h may be written over a. */
#if defined(__clang__)
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif
#define INLINE static inline __attribute__((always_inline))

#if defined(FLOAT64)
typedef double real, stored;
#else
typedef float real;
#endif

#if defined(BFLOAT16)
typedef uint16_t stored;
INLINE real read(stored x) {
    uint32_t bits = (uint32_t)x << 16;
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
}
INLINE stored rounded(real x) { /* to nearest, ties to even; not-a-number stays one */
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t nearest = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    uint32_t lost = -(uint32_t)(x != x); /* all ones for not-a-number; as a choice it would not vectorise */
    return (stored)((nearest & ~lost) | (0x7fc0 & lost));
}
#else
#if !defined(FLOAT64)
typedef float stored;
#endif
INLINE real read(stored x) { return x; }
INLINE stored rounded(real x) { return x; }
#endif

#if defined(FLOAT64)
INLINE real hyperbolic_tangent(real x) { return tanh(x); }
#elif defined(TANH)
/* Within one unit in the last place of float32, and without a branch, so that it vectorises: 1 - 2 / (exp(2x) + 1)
 * in double; exp by its Taylor polynomial after 2x = k log 2 + r, |r| <= log(2)/2. Below 2^-12, x is nearest. */
INLINE real hyperbolic_tangent(real x) {
    double y = 2.0 * x;
    y = y > 40 ? 40 : y;
    y = y < -40 ? -40 : y;
    double shifted = y * 1.4426950408889634 + 0x1.8p52; /* its low bits are k */
    double r = y - (shifted - 0x1.8p52) * 0.6931471805599453;
    double exp_r = 1 + r * (1 + r * (1 / 2. + r * (1 / 6. + r * (1 / 24. + r * (1 / 120. + r * (1 / 720. +
                   r * (1 / 5040. + r * (1 / 40320. + r * (1 / 362880.)))))))));
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    real far = (real)(1 - 2 / (exp_r * power + 1));
    return fabsf(x) < 0x1p-12f ? x : far;
}
#endif

/* `value`: f(z). `pull`: g * f'(z), written in h = f(z). Comparisons are written so that a not-a-number passes through,
 * as in PyTorch: a run that diverged must show it. */
#if defined(RELU)
INLINE real value(real z) { return 0 > z ? 0 : z; }
INLINE real pull(real g, real h) { return h <= 0 ? 0 : g; }
#elif defined(TANH)
INLINE real value(real z) { return hyperbolic_tangent(z); }
INLINE real pull(real g, real h) { return g * (1 - h * h); }
#elif defined(LEAKY_RELU)
INLINE real value(real z) { return z > 0 ? z : z * (real)0.01; }
INLINE real pull(real g, real h) { return h > 0 ? g : g * (real)0.01; }
#elif defined(IDENTITY)
INLINE real value(real z) { return z; }
INLINE real pull(real g, real h) { (void)h; return g; }
#endif
