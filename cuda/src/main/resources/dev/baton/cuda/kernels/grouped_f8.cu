// Rows of every expert by its block-scaled E4M3 matrices (DeepSeek-V3 technical report, section 3.3): as grouped.cu, with weights
// of one byte that become bf16 exactly on their way to the tensor cores, and sums that are scaled block by block.
//
// A tile has 16, 32 or 128 rows of x and 128 rows of the matrices; a stage is 128 of k, so that one scale holds for all
// weights of a stage (GATED: one for each of the two matrices). Eight warps, WM of them along the rows of x.
//
// Four weights that follow each other are one word. A thread takes both halves of its tensor-core operand from one word, so
// within every 16 of k the order is another than the instruction's: the rows of x are read in the same order.

static const int COLUMNS = 128;
static const int DEPTH = 128;
static const int WARPS = 8;
static const int THREADS = WARPS * 32;
static const int W_BYTES = COLUMNS * DEPTH;

struct Scales {
    const float* const* first;   // [experts], each [ceil(n / 128), ceil(k / 128)]
    const float* const* second;  // [experts]; of the product with gates
};

// Two E4M3 values, in the high bytes of the halves, as bf16: exponent and mantissa moved to their places are too small by
// 2^120, subnormal ones too.
__device__ __forceinline__ unsigned to_bf16(unsigned v) {
    unsigned small = (v & 0x80008000u) | ((v >> 4) & 0x07f007f0u);
    unsigned r;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(small), "r"(0x7b807b80u), "r"(0x80008000u));
    return r;
}

template <int WM, int MT, int STAGES, bool GATED>
__device__ __forceinline__ void grouped_f8(const bf16* x, i64 xStride, const Experts& all, const Scales& scales, int n,
                                           int k, int share) {
    const int ROWS = WM * MT * 16;
    const int X_BYTES = ROWS * DEPTH * 2;
    const int STAGE_BYTES = X_BYTES + W_BYTES;
    const int WN = WARPS / WM;
    const int NT = COLUMNS / WN / 8;        // tiles of 8 columns, of a warp
    const int HALF = NT / 2 * 8;            // GATED: columns of each matrix, of a warp
    const int X_PER = ROWS * 16 / THREADS;  // chunks of x that a thread copies
    const int W_PER = COLUMNS * 8 / THREADS;
    extern __shared__ __align__(128) unsigned char shared[];
    enter();
    int e, start, rows;
    if (!find_tile(all, e, start, rows)) {
        return;
    }
    int warp = threadIdx.x / 32;
    int lane = threadIdx.x % 32;
    unsigned base = (unsigned)__cvta_generic_to_shared(shared);

    // Rows behind the end repeat the last one.
    int xChunk = threadIdx.x % 16;
    int sources[X_PER];
#pragma unroll
    for (int i = 0; i < X_PER; i++) {
        int place = start + min((int)threadIdx.x / 16 + i * (THREADS / 16), rows - 1);
        sources[i] = GATED ? all.order[place] / share : place;
    }
    int wChunk = threadIdx.x % 8;
    const unsigned char* wRows[W_PER];
#pragma unroll
    for (int i = 0; i < W_PER; i++) {
        int row = threadIdx.x / 8 + i * (THREADS / 8);
        bool isSecond = GATED && row % (2 * HALF) >= HALF;
        int column = GATED ? blockIdx.x * (COLUMNS / 2) + row / (2 * HALF) * HALF + row % HALF : blockIdx.x * COLUMNS + row;
        wRows[i] = (const unsigned char*)(isSecond ? all.second[e] : all.matrices[e]) + (i64)min(column, n - 1) * k +
            wChunk * 16;
    }
    auto load = [&](int step) {
        unsigned tile = base + step % STAGES * STAGE_BYTES;
        bool xInside = step * DEPTH + xChunk * 8 < k;
#pragma unroll
        for (int i = 0; i < X_PER; i++) {
            const bf16* from = x + sources[i] * xStride + step * DEPTH + xChunk * 8;
            copy_or_zero(tile + spot<256>(threadIdx.x / 16 + i * (THREADS / 16), xChunk), from, xInside);
        }
        bool wInside = step * DEPTH + wChunk * 16 < k;
#pragma unroll
        for (int i = 0; i < W_PER; i++) {
            copy_or_zero(tile + X_BYTES + spot<128>(threadIdx.x / 8 + i * (THREADS / 8), wChunk), wRows[i] + step * DEPTH, wInside);
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
    int block = blockIdx.x * (GATED ? COLUMNS / 2 : COLUMNS) / 128;
    const float* firstScales = scales.first[e] + (i64)block * steps;
    const float* secondScales = GATED ? scales.second[e] + (i64)block * steps : firstScales;
    int firstRow = warp / WN * MT * 16;
    int firstColumn = warp % WN * NT * 8;
    float sum[MT][NT][4];
#pragma unroll
    for (int m = 0; m < MT; m++) {
#pragma unroll
        for (int j = 0; j < NT; j++) {
            sum[m][j][0] = sum[m][j][1] = sum[m][j][2] = sum[m][j][3] = 0.f;
        }
    }
    for (int step = 0; step < steps; step++) {
        float scale = firstScales[step];
        float scale2 = GATED ? secondScales[step] : scale;
        wait<STAGES - 2>();
        __syncthreads();
        if (step + STAGES - 1 < steps) {
            load(step + STAGES - 1);
        }
        commit();
        unsigned char* xTile = shared + step % STAGES * STAGE_BYTES;
        unsigned wTile = base + step % STAGES * STAGE_BYTES + X_BYTES;
        float part[MT][NT][4];
#pragma unroll
        for (int m = 0; m < MT; m++) {
#pragma unroll
            for (int j = 0; j < NT; j++) {
                part[m][j][0] = part[m][j][1] = part[m][j][2] = part[m][j][3] = 0.f;
            }
        }
#pragma unroll
        for (int four = 0; four < 2; four++) {
            unsigned words[NT][4];
#pragma unroll
            for (int j = 0; j < NT; j++) {
                load_matrices(words[j], wTile + spot<128>(firstColumn + j * 8 + lane % 8, four * 4 + lane / 8));
            }
#pragma unroll
            for (int kk = 0; kk < 4; kk++) {
                unsigned a[MT][4];
#pragma unroll
                for (int m = 0; m < MT; m++) {
                    int row = firstRow + m * 16 + lane / 4;
                    int chunk = (four * 4 + kk) * 2 + lane % 4 / 2;
                    uint2 low = *(const uint2*)(xTile + spot<256>(row, chunk) + lane % 2 * 8);
                    uint2 high = *(const uint2*)(xTile + spot<256>(row + 8, chunk) + lane % 2 * 8);
                    a[m][0] = low.x;
                    a[m][1] = high.x;
                    a[m][2] = low.y;
                    a[m][3] = high.y;
                }
#pragma unroll
                for (int j = 0; j < NT; j++) {
                    unsigned b0 = to_bf16(__byte_perm(words[j][kk], 0, 0x1404));
                    unsigned b1 = to_bf16(__byte_perm(words[j][kk], 0, 0x3424));
#pragma unroll
                    for (int m = 0; m < MT; m++) {
                        multiply(part[m][j], a[m], b0, b1);
                    }
                }
            }
        }
#pragma unroll
        for (int j = 0; j < NT; j++) {
            float own = GATED && j >= NT / 2 ? scale2 : scale;
#pragma unroll
            for (int m = 0; m < MT; m++) {
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    sum[m][j][i] += part[m][j][i] * own;
                }
            }
        }
    }
#pragma unroll
    for (int m = 0; m < MT; m++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int row = firstRow + m * 16 + lane / 4 + half * 8;
            if (row >= rows) {
                continue;
            }
            bf16* to = all.result + (i64)(start + row) * all.resultStride;
#pragma unroll
            for (int j = 0; j < (GATED ? NT / 2 : NT); j++) {
                int column = (GATED ? blockIdx.x * (COLUMNS / 2) + warp % WN * HALF : blockIdx.x * COLUMNS + firstColumn) +
                    j * 8 + lane % 4 * 2;
                float low = sum[m][j][half * 2];
                float high = sum[m][j][half * 2 + 1];
                if (GATED) {
                    low = silu(low) * sum[m][(j + NT / 2) % NT][half * 2];
                    high = silu(high) * sum[m][(j + NT / 2) % NT][half * 2 + 1];
                }
                if (column < n) {  // n is even
                    *(unsigned*)(to + column) = pack(low, high);
                }
            }
        }
    }
}

#define GROUPED(NAME, WM, MT, STAGES, BLOCKS)                                                                          \
    extern "C" __global__ void __launch_bounds__(256, BLOCKS) f8_gated_##NAME(                                         \
        const bf16* x, i64 xStride, Experts all, Scales scales, int n, int k, int share) {                             \
        grouped_f8<WM, MT, STAGES, true>(x, xStride, all, scales, n, k, share);                                        \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(256, BLOCKS) f8_plain_##NAME(                                         \
        const bf16* x, i64 xStride, Experts all, Scales scales, int n, int k, int share) {                             \
        grouped_f8<WM, MT, STAGES, false>(x, xStride, all, scales, n, k, share);                                       \
    }
GROUPED(16, 1, 1, 4, 2)
GROUPED(32, 1, 2, 4, 2)
GROUPED(128, 2, 4, 4, 1)
