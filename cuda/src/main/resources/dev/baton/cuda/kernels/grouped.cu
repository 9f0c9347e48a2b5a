// Rows of every expert by its matrices, for many rows an expert: result[place, n] = sum_k x[row(place), k] * matrix[n, k], in
// tiles of 128 rows by 128 rows of the matrices. Eight warps, two by four, multiply 64 by 32 each.
//
// GATED: x rows are tokens (pair / share), and a tile holds 64 rows of each of two matrices, so that a thread finds both
// parts of silu(first) * second in its own sums. Otherwise x rows are places.
//
// Block x owns rows of the matrices, block z a tile of rows; blocks that follow each other read the same rows of x.

static const int ROWS = 128;
static const int COLUMNS = 128;
static const int DEPTH = 64;  // k of a stage: 128 bytes of a row
static const int STAGES = 3;
static const int X_BYTES = ROWS * 128;
static const int STAGE_BYTES = X_BYTES + COLUMNS * 128;
static const int THREADS = 256;
static const int PER = ROWS / (THREADS / 8);  // rows that a thread copies a chunk of

template <bool GATED>
__device__ __forceinline__ void grouped(const bf16* x, i64 xStride, const Experts& all, int n, int k, int share) {
    extern __shared__ __align__(128) unsigned char shared[];
    enter();
    int e, start, rows;
    if (!find_tile(all, e, start, rows)) {
        return;
    }
    int warp = threadIdx.x / 32;
    int lane = threadIdx.x % 32;
    int chunk = threadIdx.x % 8;
    unsigned base = (unsigned)__cvta_generic_to_shared(shared);

    // Rows behind the end repeat the last one.
    const bf16* xRows[PER];
    const bf16* wRows[PER];
#pragma unroll
    for (int i = 0; i < PER; i++) {
        int row = threadIdx.x / 8 + i * (THREADS / 8);
        int place = start + min(row, rows - 1);
        xRows[i] = x + (i64)(GATED ? all.order[place] / share : place) * xStride + chunk * 8;
        const bf16* matrix = GATED && row % 32 >= 16 ? all.second[e] : all.matrices[e];
        int column = GATED ? blockIdx.x * (COLUMNS / 2) + row / 32 * 16 + row % 16 : blockIdx.x * COLUMNS + row;
        wRows[i] = matrix + (i64)min(column, n - 1) * k + chunk * 8;
    }
    auto load = [&](int step) {
        unsigned tile = base + step % STAGES * STAGE_BYTES;
        bool inside = step * DEPTH + chunk * 8 < k;
#pragma unroll
        for (int i = 0; i < PER; i++) {
            int row = threadIdx.x / 8 + i * (THREADS / 8);
            copy_or_zero(tile + spot<128>(row, chunk), xRows[i] + step * DEPTH, inside);
            copy_or_zero(tile + X_BYTES + spot<128>(row, chunk), wRows[i] + step * DEPTH, inside);
        }
    };

    int steps = (k + DEPTH - 1) / DEPTH;
#pragma unroll
    for (int s = 0; s < STAGES - 1; s++) {
        if (s < steps) {
            load(s);
        }
        commit();
    }
    int firstRow = warp / 4 * 64;
    int firstColumn = warp % 4 * 32;
    float sum[4][4][4];
#pragma unroll
    for (int m = 0; m < 4; m++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            sum[m][j][0] = sum[m][j][1] = sum[m][j][2] = sum[m][j][3] = 0.f;
        }
    }
    for (int step = 0; step < steps; step++) {
        wait<STAGES - 2>();
        __syncthreads();
        if (step + STAGES - 1 < steps) {
            load(step + STAGES - 1);
        }
        commit();
        unsigned xTile = base + step % STAGES * STAGE_BYTES;
        unsigned wTile = xTile + X_BYTES;
#pragma unroll
        for (int kk = 0; kk < DEPTH / 16; kk++) {
            unsigned a[4][4];
            unsigned b[2][4];
#pragma unroll
            for (int m = 0; m < 4; m++) {
                load_matrices(a[m], xTile + spot<128>(firstRow + m * 16 + lane % 16, kk * 2 + lane / 16));
            }
#pragma unroll
            for (int j = 0; j < 2; j++) {
                int row = firstColumn + j * 16 + lane % 8 + lane / 16 * 8;
                load_matrices(b[j], wTile + spot<128>(row, kk * 2 + lane / 8 % 2));
            }
#pragma unroll
            for (int m = 0; m < 4; m++) {
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    multiply(sum[m][j], a[m], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
                }
            }
        }
    }
#pragma unroll
    for (int m = 0; m < 4; m++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int row = firstRow + m * 16 + lane / 4 + half * 8;
            if (row >= rows) {
                continue;
            }
            bf16* to = all.result + (i64)(start + row) * all.resultStride;
#pragma unroll
            for (int j = 0; j < (GATED ? 2 : 4); j++) {
                int column = (GATED ? blockIdx.x * (COLUMNS / 2) + warp % 4 * 16 : blockIdx.x * COLUMNS + firstColumn) +
                    j * 8 + lane % 4 * 2;
                float low = sum[m][j][half * 2];
                float high = sum[m][j][half * 2 + 1];
                if (GATED) {
                    low = silu(low) * sum[m][(j + 2) % 4][half * 2];
                    high = silu(high) * sum[m][(j + 2) % 4][half * 2 + 1];
                }
                if (column < n) {  // n is even
                    *(unsigned*)(to + column) = pack(low, high);
                }
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(256, 2)
    grouped_gated(const bf16* x, i64 xStride, Experts all, int n, int k, int share) {
    grouped<true>(x, xStride, all, n, k, share);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    grouped_plain(const bf16* x, i64 xStride, Experts all, int n, int k, int share) {
    grouped<false>(x, xStride, all, n, k, share);
}
