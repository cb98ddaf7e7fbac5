/* What a whole layer is called with, h_t = f(W x_t + b + u * h_{t-1}): shared by layer_fused.c and layer_narrow.c.
 *
 * x (T, B, M)   bias, u (N,)   h0 (B, N)   h (T, B, N)   A thread takes the sequences [begin, end) of the batch. */
#include "activation.h"

/* As in layers.py, field by field. How the weights w lie in memory is said by each function. */
typedef struct {
    int64_t T, B, M, N;
    const real *x, *w, *bias, *u, *h0;
    real *h;
} Layer;

typedef struct {
    const real *g;                             /* the gradient of h; or, if gain is not NULL, of what batch norm and */
    const real *gain, *center, *slope, *level; /* dropout made of h, see pulled: (B, N), and three times (N,) */
    real *grad_x, *grad_h0;                    /* grad_x is NULL where it is not wanted */
} Gradient;

/* The gradient of h at one step of sequence b, pulled back through batch norm and dropout if there are any (batchnorm.c
 * does the same for whole arrays). `row` has room for it. */
INLINE const real *pulled(const Gradient *to, const real *g, const real *h, int64_t b, int64_t N, real *row) {
    if (!to->gain) return g;
    const real *gain = to->gain + b * N;
    INDEPENDENT
    for (int64_t n = 0; n < N; n++) row[n] = g[n] * gain[n] + (h[n] - to->center[n]) * to->slope[n] + to->level[n];
    return row;
}

/* A step that will be needed, while another is worked on: the processor does not expect steps to go backward. */
INLINE void fetch(const real *g, const real *h, int64_t N) {
    const int64_t line = 64 / sizeof(real);
    for (int64_t n = 0; n < N; n += line) {
        __builtin_prefetch(g + n);
        __builtin_prefetch(h + n);
    }
}

/* Sums over a chunk of steps are added to those over all, since shorter sums round less. */
static void collect(real *chunk, real *sums, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
        sums[j] += chunk[j];
        chunk[j] = 0;
    }
}
