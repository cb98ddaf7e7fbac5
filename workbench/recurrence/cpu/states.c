/* Engine `cpu`, the recurrence alone: h_t = f(a_t + u * h_{t-1}) and its gradient, chain by chain.
 *
 * Arrays are (T, C), with C = B*N chains; u holds one value a chain. A thread takes the chains [begin, end).
 * Compiled with -ffp-contract=off: each operation rounds once, so that the results are bit for bit those of `loop`.
 */
#include "activation.h"

enum { BLOCK = 1024 }; /* chains walked together: their state, u and sums stay in the first-level cache for all T */

void forward(const stored *a, const real *u, const stored *h0, stored *h, int64_t T, int64_t C, int64_t begin,
             int64_t end) {
    for (int64_t c = begin; c < end; c += BLOCK) {
        int64_t n = end - c < BLOCK ? end - c : BLOCK;
        real state[BLOCK];
        for (int64_t i = 0; i < n; i++) state[i] = read(h0[c + i]);
        for (int64_t t = 0; t < T; t++) {
            INDEPENDENT
            for (int64_t i = 0; i < n; i++) {
                real next = value(read(a[t * C + c + i]) + u[c + i] * state[i]);
                state[i] = next;
                h[t * C + c + i] = rounded(next);
            }
        }
    }
}

/* d_t = f'(h_t) * (g_t + u * d_{t+1}): the gradient of a. Of u, one sum a chain. grad_h0 holds what reaches the last
 * step from steps after it, zeros if there are none, and at the end u * d_1, what reaches the state before the first. */
void backward(const stored *g, const stored *h, const real *u, const stored *h0, stored *d, real *grad_u,
              stored *grad_h0, int64_t T, int64_t C, int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; c += BLOCK) {
        int64_t n = end - c < BLOCK ? end - c : BLOCK;
        real arriving[BLOCK], sum[BLOCK];
        for (int64_t i = 0; i < n; i++) {
            arriving[i] = read(grad_h0[c + i]);
            sum[i] = 0;
        }
        for (int64_t t = T - 1; t >= 0; t--) {
            const stored *before = t ? h + (t - 1) * C : h0;
            INDEPENDENT
            for (int64_t i = 0; i < n; i++) {
                real now = pull(read(g[t * C + c + i]) + arriving[i], read(h[t * C + c + i]));
                arriving[i] = u[c + i] * now;
                d[t * C + c + i] = rounded(now);
                sum[i] += now * read(before[c + i]);
            }
        }
        for (int64_t i = 0; i < n; i++) {
            grad_u[c + i] = sum[i];
            grad_h0[c + i] = rounded(arriving[i]);
        }
    }
}

/* The gradient of u (N,) from the sums of the chains (B, N), sequence by sequence. */
void add_up(const real *sums, real *grad_u, int64_t B, int64_t N) {
    for (int64_t n = 0; n < N; n++) grad_u[n] = 0;
    for (int64_t b = 0; b < B; b++)
        for (int64_t n = 0; n < N; n++) grad_u[n] += sums[b * N + n];
}
