/* Engine `cpu`, batch norm and dropout shared over time: y = (h - mean) * gain + level, and what its gradient needs.
 *
 * Arrays are (T, C), with C = B*N chains; mean, gain and level hold one value a chain, so that a mask shared over time
 * is a factor of gain and level and costs nothing. A thread takes the chains [begin, end). Sums run over a few steps in
 * `real` and from there on in double: they do not depend on the threads, nor suffer from many steps.
 */
#include "activation.h"

enum { BLOCK = 2048, FEW = 32 }; /* chains walked together, whose sums stay in cache; steps summed in `real` */

/* moments (2, B, N): the mean of each chain and the sum of its squared deviations. Deviations are first taken from the first of a few
 * steps, which is near the others: the precision of two passes over memory in one. Then the few are merged with all
 * before them (Chan, Golub, LeVeque 1983). */
void take_moments(const real *h, double *moments, int64_t T, int64_t C, int64_t begin, int64_t end) {
    double *mean = moments, *spread = moments + C;
    for (int64_t c = begin; c < end; c += BLOCK) {
        int64_t n = end - c < BLOCK ? end - c : BLOCK;
        for (int64_t i = 0; i < n; i++) mean[c + i] = spread[c + i] = 0;
        for (int64_t first = 0; first < T; first += FEW) {
            int64_t last = T - first < FEW ? T : first + FEW;
            const real *near = h + first * C + c;
            real sum[BLOCK] = {0}, square[BLOCK] = {0};
            for (int64_t t = first + 1; t < last; t++)
                for (int64_t i = 0; i < n; i++) {
                    real off = h[t * C + c + i] - near[i];
                    sum[i] += off;
                    square[i] += off * off;
                }
            double steps = (double)(last - first), share = steps / (double)last;
            for (int64_t i = 0; i < n; i++) {
                double off = near[i] + sum[i] / steps - mean[c + i];
                mean[c + i] += off * share;
                spread[c + i] += square[i] - sum[i] * (double)sum[i] / steps + off * off * share * (double)first;
            }
        }
    }
}

/* statistics (2, N): the mean and the variance of each neuron, from the moments of its chains in the order of the
 * sequences. */
void join(const double *moments, int64_t T, int64_t B, int64_t N, double *statistics) {
    const double *means = moments, *spreads = moments + B * N;
    double *mean = statistics, *variance = statistics + N;
    for (int64_t n = 0; n < N; n++) mean[n] = variance[n] = 0;
    for (int64_t b = 0; b < B; b++)
        for (int64_t n = 0; n < N; n++) mean[n] += means[b * N + n] / (double)B;
    for (int64_t b = 0; b < B; b++)
        for (int64_t n = 0; n < N; n++) {
            double off = means[b * N + n] - mean[n];
            variance[n] += (spreads[b * N + n] / (double)T + off * off) / (double)B;
        }
}

/* map (3, B, N): center, gain and level of each chain; inverse (N,): 1 / deviation of each neuron. mask (B, N) may be
 * NULL. */
void plan(const double *statistics, double eps, const real *scale, const real *shift, const real *mask, int64_t B,
          int64_t N, double *inverse, real *map) {
    real *center = map, *gain = center + B * N, *level = gain + B * N;
    for (int64_t n = 0; n < N; n++) inverse[n] = 1 / sqrt(statistics[N + n] + eps);
    for (int64_t b = 0; b < B; b++)
        for (int64_t n = 0, c = b * N; n < N; n++, c++) {
            center[c] = (real)statistics[n];
            gain[c] = (real)(scale[n] * inverse[n]) * (mask ? mask[c] : 1);
            level[c] = shift[n] * (mask ? mask[c] : 1);
        }
}

/* y, which may be h. */
void apply(const real *h, const real *map, real *y, int64_t T, int64_t C, int64_t begin, int64_t end) {
    const real *center = map, *gain = center + C, *level = gain + C;
    for (int64_t t = 0; t < T; t++)
        INDEPENDENT
        for (int64_t c = begin; c < end; c++) y[t * C + c] = (h[t * C + c] - center[c]) * gain[c] + level[c];
}

/* sums (2, B, N): for each chain, the sum of g, the gradient of y, and the sum of g * (h - center). */
void weigh(const real *g, const real *h, const real *center, double *sums, int64_t T, int64_t C, int64_t begin,
           int64_t end) {
    double *plain = sums, *weighed = sums + C;
    for (int64_t c = begin; c < end; c += BLOCK) {
        int64_t n = end - c < BLOCK ? end - c : BLOCK;
        for (int64_t i = 0; i < n; i++) plain[c + i] = weighed[c + i] = 0;
        for (int64_t first = 0; first < T; first += FEW) {
            int64_t last = T - first < FEW ? T : first + FEW;
            real sum[BLOCK] = {0}, product[BLOCK] = {0};
            for (int64_t t = first; t < last; t++)
                for (int64_t i = 0; i < n; i++) {
                    real now = g[t * C + c + i];
                    sum[i] += now;
                    product[i] += now * (h[t * C + c + i] - center[c + i]);
                }
            for (int64_t i = 0; i < n; i++) {
                plain[c + i] += sum[i];
                weighed[c + i] += product[i];
            }
        }
    }
}

/* learned (2, N): the gradients of scale and shift, from those sums. slopes (2, B, N), each row alike: how, besides
 * gain, the gradient of h follows from that of y, since mean and deviation depend on h where they were taken from it,
 * from `count` values; elsewhere count is 0. */
void plan_back(const double *sums, const double *inverse, const real *scale, const real *mask, double count, int64_t B,
               int64_t N, real *learned, real *slopes) {
    const double *plain = sums, *weighed = sums + B * N;
    for (int64_t n = 0; n < N; n++) {
        double sum = 0, product = 0;
        for (int64_t c = n; c < B * N; c += N) {
            sum += plain[c] * (mask ? mask[c] : 1);
            product += weighed[c] * (mask ? mask[c] : 1);
        }
        double gain = count > 0 ? scale[n] * inverse[n] / count : 0;
        learned[n] = (real)(product * inverse[n]);
        learned[N + n] = (real)sum;
        for (int64_t c = n; c < B * N; c += N) {
            slopes[c] = (real)(-gain * inverse[n] * inverse[n] * product);
            slopes[B * N + c] = (real)(-gain * sum);
        }
    }
}

/* The gradient of h, into d, which may be g. */
void pull_back(const real *g, const real *h, const real *map, const real *slopes, real *d, int64_t T, int64_t C,
               int64_t begin, int64_t end) {
    const real *center = map, *gain = map + C, *slope = slopes, *level = slopes + C;
    for (int64_t t = 0; t < T; t++)
        INDEPENDENT
        for (int64_t c = begin; c < end; c++) {
            int64_t at = t * C + c;
            d[at] = g[at] * gain[c] + (h[at] - center[c]) * slope[c] + level[c];
        }
}
