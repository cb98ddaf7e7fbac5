/* Engine `cpu`, layer norm, RMS norm and dropout shared over time: y = (x * scale + shift) * mask, where x is a row of
 * h, the features of one step of one sequence, less its mean (layer norm alone) and over its root mean square.
 *
 * Arrays are (rows, N), with rows = T*B; mask is (B, N), NULL for no dropout. A thread takes the rows [begin, end), a
 * row at a time, so that h is read from memory once. A row is summed in LANES parts on every machine alike.
 */
#include "activation.h"

enum { LANES = 64 / sizeof(real), FEW = 32 }; /* parts of a sum; rows whose terms are summed in `real` */
typedef real vec __attribute__((vector_size(64), aligned(sizeof(real)), may_alias));

/* The sum of a * b over n values, or of a where b is NULL. */
INLINE real total(const real *a, const real *b, int64_t n) {
    vec sum = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vec term = *(const vec *)(a + i);
        if (b) term *= *(const vec *)(b + i);
        sum += term;
    }
    for (int lane = 0; i < n; i++, lane++) sum[lane] += b ? a[i] * b[i] : a[i];
    for (int half = LANES / 2; half; half /= 2)
        for (int lane = 0; lane < half; lane++) sum[lane] += sum[lane + half];
    return sum[0];
}

/* x (N,) of a row; returns what the centred row was multiplied by. */
INLINE real normed(const real *h, int centred, double eps, real *x, int64_t N) {
    real mean = centred ? total(h, NULL, N) / (real)N : 0;
    INDEPENDENT
    for (int64_t n = 0; n < N; n++) x[n] = h[n] - mean;
    real inverse = (real)(1 / sqrt(total(x, x, N) / (double)N + eps));
    INDEPENDENT
    for (int64_t n = 0; n < N; n++) x[n] *= inverse;
    return inverse;
}

/* y, which may be h. shift (N,) may be NULL; row has room for N values. */
void forward(const real *h, const real *scale, const real *shift, const real *mask, real *y, real *row, int64_t B,
             int64_t N, int64_t centred, double eps, int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
        normed(h + r * N, (int)centred, eps, row, N);
        const real *kept = mask ? mask + r % B * N : NULL;
        INDEPENDENT
        for (int64_t n = 0; n < N; n++) {
            real z = row[n] * scale[n] + (shift ? shift[n] : 0);
            y[r * N + n] = kept ? z * kept[n] : z;
        }
    }
}

/* d, which may be g, the gradient of y: that of h. sums (2, N), the gradients of scale and shift, of these rows;
 * scratch has room for 4 * N values. */
void backward(const real *g, const real *h, const real *scale, const real *mask, real *d, double *sums, real *scratch,
              int64_t B, int64_t N, int64_t centred, double eps, int64_t begin, int64_t end) {
    real *x = scratch, *arriving = x + N, *few = arriving + N;
    for (int64_t n = 0; n < 2 * N; n++) sums[n] = few[n] = 0;
    for (int64_t r = begin; r < end; r++) {
        real inverse = normed(h + r * N, (int)centred, eps, x, N);
        const real *kept = mask ? mask + r % B * N : NULL;
        INDEPENDENT
        for (int64_t n = 0; n < N; n++) {
            real now = kept ? g[r * N + n] * kept[n] : g[r * N + n];
            few[n] += now * x[n];
            few[N + n] += now;
            arriving[n] = now * scale[n];
        }
        real level = centred ? total(arriving, NULL, N) / (real)N : 0, slope = total(arriving, x, N) / (real)N;
        INDEPENDENT
        for (int64_t n = 0; n < N; n++) d[r * N + n] = (arriving[n] - level - x[n] * slope) * inverse;
        if ((r - begin) % FEW == FEW - 1 || r == end - 1)
            for (int64_t n = 0; n < 2 * N; n++) {
                sums[n] += few[n];
                few[n] = 0;
            }
    }
}
