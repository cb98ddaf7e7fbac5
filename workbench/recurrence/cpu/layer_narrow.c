/* Engine `cpu`, a whole layer with one or two inputs, as a first layer has: one pass over the states, no product.
 *
 * A thread takes the sequences [begin, end), as many neighbours as it can: memory is what it waits for.
 */
#include "layer.h"

enum { CHUNK = 32 }; /* steps summed before their sums are added to the others */

/* w: the weights transposed, (M, N). */
INLINE void forward_with(const int M, const Layer *l, int64_t begin, int64_t end) {
    const int64_t B = l->B, N = l->N;
    const real *w = l->w, *bias = l->bias, *u = l->u;
    for (int64_t t = 0; t < l->T; t++)
        for (int64_t b = begin; b < end; b++) {
            int64_t at = (t * B + b) * N;
            const real *x = l->x + (t * B + b) * M, *before = t ? l->h + at - B * N : l->h0 + b * N;
            real *h = l->h + at;
            INDEPENDENT
            for (int64_t n = 0; n < N; n++) {
                real z = bias[n] + x[0] * w[n];
                if (M == 2) z += x[1] * w[N + n];
                h[n] = value(z + u[n] * before[n]);
            }
        }
}

void forward(const Layer *l, int64_t begin, int64_t end) {
    if (l->M == 1)
        forward_with(1, l, begin, end);
    else
        forward_with(2, l, begin, end);
}

/* sums (blocks, 2 + M, N): the gradients of b, u and the columns of W, separately for each `height` sequences, so that
 * they do not depend on the threads; of those in [begin, end). scratch: as many values and (end - begin + 1) * N more.
 * Both begin as zeros. */
INLINE void backward_with(const int M, const Layer *l, const Gradient *to, real *sums, real *scratch, int64_t begin,
                          int64_t end, int64_t height) {
    const int64_t B = l->B, N = l->N, each = (2 + M) * N, all = (end - begin + height - 1) / height * each;
    const real *u = l->u;
    real *chunks = scratch, *row = chunks + all, *afters = row + N;
    for (int64_t t = l->T - 1; t >= 0; t--) {
        for (int64_t b = begin; b < end; b++) {
            int64_t at = (t * B + b) * N;
            const real *h = l->h + at, *before = t ? h - B * N : l->h0 + b * N, *x = l->x + (t * B + b) * M;
            if (t > 1) fetch(to->g + at - B * N, before - B * N, N);
            const real *g = pulled(to, to->g + at, h, b, N, row);
            real *after = afters + (b - begin) * N, *sum = chunks + (b - begin) / height * each;
            INDEPENDENT
            for (int64_t n = 0; n < N; n++) {
                real now = pull(g[n] + u[n] * after[n], h[n]);
                after[n] = now;
                sum[n] += now;
                sum[N + n] += now * before[n];
                sum[2 * N + n] += now * x[0];
                if (M == 2) sum[3 * N + n] += now * x[1];
            }
        }
        if (t % CHUNK == 0) collect(chunks, sums, all);
    }
    for (int64_t b = begin; b < end; b++)
        for (int64_t n = 0; n < N; n++) to->grad_h0[b * N + n] = u[n] * afters[(b - begin) * N + n];
}

void backward(const Layer *l, const Gradient *to, real *sums, real *scratch, int64_t begin, int64_t end,
              int64_t height) {
    if (l->M == 1)
        backward_with(1, l, to, sums, scratch, begin, end, height);
    else
        backward_with(2, l, to, sums, scratch, begin, end, height);
}
