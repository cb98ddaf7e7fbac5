/* Engine `cpu`, a whole layer: h_t = f(W x_t + b + u * h_{t-1}) and its gradient, product and recurrence alternating.
 *
 * The unit of work is a tile: up to ROWS rows (steps of one sequence, or neurons) times WIDE columns, its sums held in
 * registers. Forward, a tile of pre-activations becomes states before it leaves the first-level cache, so they are
 * never stored. Backward, a chunk of steps stays in the second-level cache while d = grad of the pre-activations feeds
 * grad x = d W and grad W = d^T x; d itself is never stored whole.
 *
 * x (T, B, M)   h (T, B, N)   A thread takes the sequences [begin, end) of the batch; each such block sums its own
 * gradients of W, b and u, and the caller adds the blocks in order: the result does not depend on the threads.
 * Unlike chains.c it may use fused multiply-add: a product's rounding depends on its order anyway.
 */
#include "activation.h"

#if defined(__AVX512F__)
enum { BYTES = 64 };
#else
enum { BYTES = 32 };
#endif
enum { LANES = BYTES / sizeof(real), WIDE = 2 * LANES, ROWS = 6, LINE = 64 / sizeof(real) };
typedef real vec __attribute__((vector_size(BYTES), aligned(sizeof(real)), may_alias));

int64_t wide(void) { return WIDE; }

/* z[i, :] = (add ? z[i, :] : 0) + sum over k of a[i * a_row + k * a_col] * w[k, :] for WIDE columns. 2 * ROWS sums at
 * once: enough to hide the latency of a multiply-add, few enough for 16 registers. */
INLINE void tile_of(const int rows, const int add, const real *a, int64_t a_row, int64_t a_col, const real *w, int64_t K,
                    real *z, int64_t z_row) {
    vec sum[ROWS][2] = {0};
    if (add)
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++) {
            sum[i][0] = *(const vec *)(z + i * z_row);
            sum[i][1] = *(const vec *)(z + i * z_row + LANES);
        }
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
        *(vec *)(z + i * z_row) = sum[i][0];
        *(vec *)(z + i * z_row + LANES) = sum[i][1];
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

INLINE void advance_as(const int f, const int columns, const real *z, int rows, const real *bias, const real *u,
                       const real *before, real *h, int64_t step) {
    real state[WIDE];
    for (int j = 0; j < columns; j++) state[j] = before[j];
    for (int i = 0; i < rows; i++) {
        INDEPENDENT
        for (int j = 0; j < columns; j++) {
            state[j] = value(f, z[i * WIDE + j] + bias[j] + u[j] * state[j]);
            h[i * step + j] = state[j];
        }
    }
}

static void advance(int64_t f, int columns, const real *z, int rows, const real *bias, const real *u,
                    const real *before, real *h, int64_t step) {
    if (f == RELU && columns == WIDE) {
        advance_as(RELU, WIDE, z, rows, bias, u, before, h, step);
        return;
    }
    switch (f) {
    case RELU: advance_as(RELU, columns, z, rows, bias, u, before, h, step); break;
    case TANH: advance_as(TANH, columns, z, rows, bias, u, before, h, step); break;
    case LEAKY_RELU: advance_as(LEAKY_RELU, columns, z, rows, bias, u, before, h, step); break;
    default: advance_as(IDENTITY, columns, z, rows, bias, u, before, h, step);
    }
}

/* w: the weights as panels of WIDE neurons, (N / WIDE, M, WIDE), zeros beyond N. */
void forward(int64_t f, const real *x, const real *w, const real *bias, const real *u, const real *h0, real *h,
             int64_t T, int64_t B, int64_t M, int64_t N, int64_t begin, int64_t end) {
    real z[ROWS * WIDE];
    for (int64_t part = 0, t; (t = cut(T, part)) < T; part++) {
        int rows = (int)(cut(T, part + 1) - t);
        for (int64_t n = 0; n < N; n += WIDE) {
            int columns = (int)(N - n < WIDE ? N - n : WIDE);
            for (int64_t b = begin; b < end; b++) {
                rows_times(rows, x + (t * B + b) * M, B * M, w + n * M, M, z, WIDE);
                const real *before = t ? h + ((t - 1) * B + b) * N + n : h0 + b * N + n;
                advance(f, columns, z, rows, bias + n, u + n, before, h + (t * B + b) * N + n, B * N);
            }
        }
    }
}

INLINE void retreat_as(const int f, const real *g, const real *h, const real *before, const real *u, real *after,
                       real *d, real *grad_bias, real *grad_u, int64_t N) {
    INDEPENDENT
    for (int64_t n = 0; n < N; n++) {
        real now = pull(f, g[n] + u[n] * after[n], h[n]);
        after[n] = d[n] = now;
        grad_bias[n] += now;
        grad_u[n] += now * before[n];
    }
}

/* d of one step of one sequence, and what it adds to the gradients of b and u. */
static void retreat(int64_t f, const real *g, const real *h, const real *before, const real *u, real *after, real *d,
                    real *grad_bias, real *grad_u, int64_t N) {
    switch (f) {
    case RELU: retreat_as(RELU, g, h, before, u, after, d, grad_bias, grad_u, N); break;
    case TANH: retreat_as(TANH, g, h, before, u, after, d, grad_bias, grad_u, N); break;
    case LEAKY_RELU: retreat_as(LEAKY_RELU, g, h, before, u, after, d, grad_bias, grad_u, N); break;
    default: retreat_as(IDENTITY, g, h, before, u, after, d, grad_bias, grad_u, N);
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

/* The gradients of b and u, and of W where it is narrow, are first summed over a chunk, then over the chunks: shorter
 * sums round less. */
static void collect(real *chunk, real *sums, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
        sums[j] += chunk[j];
        chunk[j] = 0;
    }
}

/* The step before this one, while this one is worked on: the processor itself does not expect steps to go backward. */
INLINE void fetch(const real *g, const real *h, int64_t N) {
    for (int64_t n = 0; n < N; n += LINE) {
        __builtin_prefetch(g + n);
        __builtin_prefetch(h + n);
    }
}

/* The gradients of x and W are left out where NULL. Of a layer with few inputs, grad_w is NULL and `narrow` their
 * number: a tile would be mostly zeros. grad_w, and sums (2 + narrow, N), the gradients of b, u and the columns of W,
 * are of this block of sequences and begin as zeros. scratch: see below. */
void backward(int64_t f, const real *g, const real *x, const real *w, const real *u, const real *h0, const real *h,
              real *grad_x, real *grad_w, real *sums, real *grad_h0, real *scratch, int64_t T, int64_t B, int64_t M,
              int64_t N, int64_t narrow, int64_t begin, int64_t end, int64_t steps) {
    int64_t sequences = end - begin, d_row = grad_x || grad_w ? N + LANES : 0, kept = (2 + narrow) * N;
    real *after = scratch, *chunk = after + sequences * N, *d = chunk + kept, *panels = d + steps * sequences * (N + LANES);
    for (int64_t j = 0; j < sequences * N + kept; j++) scratch[j] = 0;
    for (int64_t last = T; last > 0; last -= steps) {
        int64_t first = last > steps ? last - steps : 0, rows = (last - first) * sequences;
        for (int64_t t = last - 1; t >= first; t--)
            for (int64_t b = begin; b < end; b++) {
                int64_t at = (t * B + b) * N, row = (t - first) * sequences + b - begin;
                const real *before = t ? h + at - B * N : h0 + b * N, *x_t = x + (t * B + b) * M;
                real *d_t = d + row * d_row;
                if (t > 1) fetch(g + at - B * N, before - B * N, N);
                retreat(f, g + at, h + at, before, u, after + (b - begin) * N, d_t, chunk, chunk + N, N);
                for (int64_t m = 0; m < narrow; m++)
                    for (int64_t n = 0; n < N; n++) chunk[(2 + m) * N + n] += d_t[n] * x_t[m];
                if (grad_w) pack(x_t, panels, row, rows, M);
            }
        collect(chunk, sums, kept);
        if (grad_w) weigh(d, d_row, panels, rows, M, N, grad_w);
        if (grad_x) unweigh(d, d_row, w, last - first, sequences, B, M, N, grad_x + (first * B + begin) * M);
    }
    for (int64_t b = begin; b < end; b++)
        for (int64_t n = 0; n < N; n++) grad_h0[b * N + n] = u[n] * after[(b - begin) * N + n];
}

/* How many values of scratch `backward` needs. A row of d is padded: at a power of two, its column would fall into
 * few sets of the cache. */
int64_t scratch(int64_t M, int64_t N, int64_t sequences, int64_t steps) {
    int64_t panels = (M + WIDE - 1) / WIDE;
    return sequences * N + (2 + (M < WIDE ? M : 0)) * N + steps * sequences * (N + LANES) + panels * WIDE * steps * sequences;
}
