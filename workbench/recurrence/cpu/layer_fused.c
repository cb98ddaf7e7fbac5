/* Engine `cpu`, a whole layer: the matrix products and the recurrence alternate while values are in cache.
 *
 * The unit of work is a tile: up to ROWS rows (steps of one sequence, or neurons) times WIDE columns, its sums held in
 * registers. Forward, a tile of pre-activations becomes states before it leaves the first-level cache, so they are
 * never stored. Backward, a chunk of steps stays in the second-level cache while d = grad of the pre-activations feeds
 * grad x = d W and grad W = d^T x; d itself is never stored whole.
 *
 * A thread takes the sequences [begin, end) of the batch; backward, each such block sums its own gradients of W, b and
 * u, and the caller adds the blocks in order: the result does not depend on the threads. Unlike states.c it may use
 * fused multiply-add: a product's rounding depends on its order anyway.
 */
#include "layer.h"

#if defined(__AVX512F__)
enum { BYTES = 64 };
#else
enum { BYTES = 32 };
#endif
enum { LANES = BYTES / sizeof(real), WIDE = 2 * LANES, ROWS = 6 };
typedef real vec __attribute__((vector_size(BYTES), aligned(sizeof(real)), may_alias));

int64_t wide(void) { return WIDE; }

/* z[i, :] = (add ? z[i, :] : 0) + sum over k of a[i * a_row + k * a_col] * w[k, :] for WIDE columns. 2 * ROWS sums at
 * once: enough to hide the latency of a multiply-add, few enough for 16 registers. */
INLINE void tile_of(const int rows, const int add, const real *a, int64_t a_row, int64_t a_col, const real *w, int64_t K,
                    real *z, int64_t z_row) {
    vec sum[ROWS][2] = {0};
    for (int64_t k = 0; k < K; k++) {
        vec w0 = *(const vec *)(w + k * WIDE), w1 = *(const vec *)(w + k * WIDE + LANES);
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++) {
            real s = a[i * a_row + k * a_col];
            sum[i][0] += s * w0;
            sum[i][1] += s * w1;
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) {
        vec *z0 = (vec *)(z + i * z_row), *z1 = (vec *)(z + i * z_row + LANES);
        if (add) {
            sum[i][0] += *z0;
            sum[i][1] += *z1;
        }
        *z0 = sum[i][0];
        *z1 = sum[i][1];
    }
}

/* Rows that are steps: the values of one row are neighbours. */
static void rows_times(int rows, const real *a, int64_t a_row, const real *w, int64_t K, real *z, int64_t z_row) {
    switch (rows) {
    case 1: tile_of(1, 0, a, a_row, 1, w, K, z, z_row); break;
    case 2: tile_of(2, 0, a, a_row, 1, w, K, z, z_row); break;
    case 3: tile_of(3, 0, a, a_row, 1, w, K, z, z_row); break;
    case 4: tile_of(4, 0, a, a_row, 1, w, K, z, z_row); break;
    case 5: tile_of(5, 0, a, a_row, 1, w, K, z, z_row); break;
    default: tile_of(6, 0, a, a_row, 1, w, K, z, z_row);
    }
}

/* Rows that are neurons: the values of one step are neighbours. Adds to z (rows, WIDE). */
static void add_columns_times(int rows, const real *a, int64_t a_col, const real *w, int64_t K, real *z) {
    switch (rows) {
    case 1: tile_of(1, 1, a, 1, a_col, w, K, z, WIDE); break;
    case 2: tile_of(2, 1, a, 1, a_col, w, K, z, WIDE); break;
    case 3: tile_of(3, 1, a, 1, a_col, w, K, z, WIDE); break;
    case 4: tile_of(4, 1, a, 1, a_col, w, K, z, WIDE); break;
    case 5: tile_of(5, 1, a, 1, a_col, w, K, z, WIDE); break;
    default: tile_of(6, 1, a, 1, a_col, w, K, z, WIDE);
    }
}

/* The beginning of part i when n rows are cut into parts of nearly equal height, none above ROWS. */
static int64_t cut(int64_t n, int64_t i) {
    int64_t parts = (n + ROWS - 1) / ROWS;
    return n * i / parts;
}

/* A tile of pre-activations without bias, z (rows, WIDE), becomes states. */
INLINE void advance_some(const int columns, const real *z, int rows, const real *bias, const real *u,
                         const real *before, real *h, int64_t step) {
    real state[WIDE];
    for (int j = 0; j < columns; j++) state[j] = before[j];
    for (int i = 0; i < rows; i++) {
        INDEPENDENT
        for (int j = 0; j < columns; j++) {
            state[j] = value(z[i * WIDE + j] + bias[j] + u[j] * state[j]);
            h[i * step + j] = state[j];
        }
    }
}

static void advance(int columns, const real *z, int rows, const real *bias, const real *u, const real *before, real *h,
                    int64_t step) {
    if (columns == WIDE)
        advance_some(WIDE, z, rows, bias, u, before, h, step); /* the states stay in registers */
    else
        advance_some(columns, z, rows, bias, u, before, h, step);
}

/* w: the weights as panels of WIDE neurons, (N / WIDE, M, WIDE), zeros beyond N. */
void forward(const Layer *l, int64_t begin, int64_t end) {
    const int64_t T = l->T, B = l->B, M = l->M, N = l->N;
    real z[ROWS * WIDE];
    for (int64_t part = 0, t; (t = cut(T, part)) < T; part++) {
        int rows = (int)(cut(T, part + 1) - t);
        for (int64_t n = 0; n < N; n += WIDE) {
            int columns = (int)(N - n < WIDE ? N - n : WIDE);
            for (int64_t b = begin; b < end; b++) {
                rows_times(rows, l->x + (t * B + b) * M, B * M, l->w + n * M, M, z, WIDE);
                const real *before = t ? l->h + ((t - 1) * B + b) * N + n : l->h0 + b * N + n;
                advance(columns, z, rows, l->bias + n, l->u + n, before, l->h + (t * B + b) * N + n, B * N);
            }
        }
    }
}

/* d of one step of one sequence, and what it adds to the gradients of b and u; `after` is d of the step after it. */
static void retreat(const real *g, const real *h, const real *before, const real *u, real *after, real *d,
                    real *grad_bias, real *grad_u, int64_t N) {
    INDEPENDENT
    for (int64_t n = 0; n < N; n++) {
        real now = pull(g[n] + u[n] * after[n], h[n]);
        after[n] = d[n] = now;
        grad_bias[n] += now;
        grad_u[n] += now * before[n];
    }
}

/* The columns of x (rows, M) as panels (M / WIDE, rows, WIDE), zeros beyond M. */
static void pack(const real *x, real *panels, int64_t row, int64_t rows, int64_t M) {
    for (int64_t m = 0; m < M; m += WIDE) {
        real *to = panels + (m * rows) + row * WIDE;
        int64_t columns = M - m < WIDE ? M - m : WIDE;
        for (int64_t j = 0; j < columns; j++) to[j] = x[m + j];
        for (int64_t j = columns; j < WIDE; j++) to[j] = 0;
    }
}

/* grad_w (M / WIDE, N, WIDE) += d^T x over the rows of a chunk. */
static void weigh(const real *d, int64_t d_row, const real *panels, int64_t rows, int64_t M, int64_t N, real *grad_w) {
    for (int64_t m = 0; m < M; m += WIDE)
        for (int64_t part = 0, n; (n = cut(N, part)) < N; part++) {
            int height = (int)(cut(N, part + 1) - n);
            add_columns_times(height, d + n, d_row, panels + m * rows, rows, grad_w + m * N + n * WIDE);
        }
}

/* grad x = d W over a chunk: `steps` rows a sequence, sequences neighbours in d. w: panels (M / WIDE, N, WIDE). */
static void unweigh(const real *d, int64_t d_row, const real *w, int64_t steps, int64_t sequences, int64_t B,
                    int64_t M, int64_t N, real *grad_x) {
    real z[ROWS * WIDE];
    for (int64_t part = 0, s; (s = cut(steps, part)) < steps; part++) {
        int rows = (int)(cut(steps, part + 1) - s);
        for (int64_t m = 0; m < M; m += WIDE) {
            for (int64_t b = 0; b < sequences; b++) {
                const real *from = d + (s * sequences + b) * d_row;
                real *to = grad_x + (s * B + b) * M + m;
                if (M - m >= WIDE) {
                    rows_times(rows, from, sequences * d_row, w + m * N, N, to, B * M);
                    continue;
                }
                rows_times(rows, from, sequences * d_row, w + m * N, N, z, WIDE);
                for (int i = 0; i < rows; i++)
                    for (int64_t j = 0; j < M - m; j++) to[i * B * M + j] = z[i * WIDE + j];
            }
        }
    }
}

/* w: panels (M / WIDE, N, WIDE). grad_w (M / WIDE, N, WIDE), NULL where it is not wanted, and sums (2, N), the gradients
 * of b and u, are of this block of sequences and begin as zeros. scratch: see below. */
void backward(const Layer *l, const Gradient *to, real *grad_w, real *sums, real *scratch, int64_t begin, int64_t end,
              int64_t steps) {
    const int64_t B = l->B, M = l->M, N = l->N, sequences = end - begin, d_row = N + LANES;
    real *afters = scratch, *chunk = afters + sequences * N, *row = chunk + 2 * N, *d = row + N;
    real *panels = d + steps * sequences * d_row;
    for (int64_t j = 0; j < (sequences + 2) * N; j++) scratch[j] = 0;
    for (int64_t last = l->T; last > 0; last -= steps) {
        int64_t first = last > steps ? last - steps : 0, rows = (last - first) * sequences;
        for (int64_t t = last - 1; t >= first; t--)
            for (int64_t b = begin; b < end; b++) {
                int64_t at = (t * B + b) * N, place = (t - first) * sequences + b - begin;
                const real *h = l->h + at, *before = t ? h - B * N : l->h0 + b * N;
                if (t > 1) fetch(to->g + at - B * N, before - B * N, N);
                const real *g = pulled(to, to->g + at, h, b, N, row);
                retreat(g, h, before, l->u, afters + (b - begin) * N, d + place * d_row, chunk, chunk + N, N);
                if (grad_w) pack(l->x + (t * B + b) * M, panels, place, rows, M);
            }
        collect(chunk, sums, 2 * N);
        if (grad_w) weigh(d, d_row, panels, rows, M, N, grad_w);
        if (to->grad_x)
            unweigh(d, d_row, l->w, last - first, sequences, B, M, N, to->grad_x + (first * B + begin) * M);
    }
    for (int64_t b = begin; b < end; b++)
        for (int64_t n = 0; n < N; n++) to->grad_h0[b * N + n] = l->u[n] * afters[(b - begin) * N + n];
}

/* How many values of scratch `backward` needs. A row of d is padded: at a power of two, its column would fall into
 * few sets of the cache. */
int64_t scratch(int64_t M, int64_t N, int64_t sequences, int64_t steps) {
    int64_t panels = (M + WIDE - 1) / WIDE;
    return (sequences + 3) * N + steps * sequences * (N + LANES + panels * WIDE);
}
