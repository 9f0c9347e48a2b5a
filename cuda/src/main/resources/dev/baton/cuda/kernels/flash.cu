// Causal attention over a paged bf16 cache with tensor cores (FlashAttention-2's order of work), heads of 64 or 128.
// Query heads that share a key head are rows of one tile: row r of a sequence is token r / group, head r % group.
//
// extend: a block owns 64 rows, 16 a warp; all warps walk over the same positions.
// decode: a block owns at most 16 heads of one sequence's only token; its warps share the positions of each round.
//
// q [T, heads * HD], keys and values [slots, kvHeads * HD]; partial as in attention.cu, used when gridDim.z > 1.

static const int WARPS = 4;
static const int ROUND = 64;  // positions of a round

__device__ __forceinline__ void multiply(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ void load_matrices(unsigned (&r)[4], unsigned address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address));
}

__device__ __forceinline__ void load_transposed(unsigned (&r)[4], unsigned address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address));
}

__device__ __forceinline__ void copy_async(unsigned shared, const void* global) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;\n" ::"r"(shared), "l"(global));
}

__device__ __forceinline__ void commit() { asm volatile("cp.async.commit_group;\n"); }

template <int PENDING> __device__ __forceinline__ void wait() {
    asm volatile("cp.async.wait_group %0;\n" ::"n"(PENDING));
}

__device__ __forceinline__ unsigned pack(float low, float high) {
    unsigned r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}

__device__ __forceinline__ float power2(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// Byte offset of a 16-byte chunk in a tile of rows of HD elements; neighbouring rows are turned against each other so
// that eight rows of one column lie in different banks.
template <int HD> __device__ __forceinline__ unsigned place(int row, int chunk) {
    return row * HD * 2 + ((chunk ^ (row & 7)) << 4);
}

template <int HD>
__device__ __forceinline__ void load_round(unsigned keyTile, unsigned valueTile, const bf16* keys, i64 keyStride,
                                           const bf16* values, i64 valueStride, const int* table, int start, int to) {
    const int CHUNKS = HD / 8;
    for (int i = threadIdx.x; i < ROUND * CHUNKS; i += WARPS * 32) {
        int row = i / CHUNKS;
        int chunk = i % CHUNKS;
        // Behind the end the last row stands in: its probability is zero, and it is finite.
        i64 slot = table[min(start + row, to - 1)];
        copy_async(keyTile + place<HD>(row, chunk), keys + slot * keyStride + chunk * 8);
        copy_async(valueTile + place<HD>(row, chunk), values + slot * valueStride + chunk * 8);
    }
    commit();
}

template <int HD, bool DECODE>
__device__ void flash(const bf16* q, i64 qStride, const bf16* keys, i64 keyStride, const bf16* values, i64 valueStride,
                      const int* queryStart, const int* contextLengths, const int* tableRows, const int* slotTable,
                      i64 slotStride, float* partial, bf16* out, i64 outStride, int sequences, int heads, int kvHeads,
                      float scale) {
    extern __shared__ __align__(128) unsigned char shared[];
    const int TILE_BYTES = ROUND * HD * 2;
    const int KEY_STEPS = HD / 16;
    const int OUT_TILES = HD / 8;
    const int SCORE_TILES = DECODE ? 2 : ROUND / 8;  // a decode warp takes 16 positions of a round

    int warp = threadIdx.x / 32;
    int lane = threadIdx.x % 32;
    int group = heads / kvHeads;
    int b = 0;
    int kvHead;
    int row0;
    int lastRow;
    if (DECODE) {
        int pieces = (group + 15) / 16;
        b = blockIdx.x;
        kvHead = blockIdx.y / pieces;
        row0 = blockIdx.y % pieces * 16;
        lastRow = min(group, row0 + 16) - 1;
    } else {
        kvHead = blockIdx.y;
        int tile = blockIdx.x;
        while (b < sequences) {
            int tiles = ((queryStart[b + 1] - queryStart[b]) * group + 63) / 64;
            if (tile < tiles) {
                break;
            }
            tile -= tiles;
            b++;
        }
        if (b == sequences) {
            return;
        }
        row0 = tile * 64 + warp * 16;
        lastRow = min((queryStart[b + 1] - queryStart[b]) * group, tile * 64 + 64) - 1;
    }
    int firstToken = queryStart[b];
    int count = queryStart[b + 1] - firstToken;
    int total = count * group;
    int context = contextLengths[b];
    int before = context - count;  // position of the sequence's first new token
    int blockVisible = before + lastRow / group + 1;
    int splits = gridDim.z;
    int share = ((blockVisible + splits - 1) / splits + ROUND - 1) / ROUND * ROUND;
    int from = min(blockVisible, (int)blockIdx.z * share);
    int to = min(blockVisible, from + share);
    const int* table = slotTable + (i64)tableRows[b] * slotStride;
    keys += (i64)kvHead * HD;
    values += (i64)kvHead * HD;

    int lowRow = row0 + lane / 4;
    int highRow = lowRow + 8;
    int lowVisible = lowRow < total ? before + lowRow / group + 1 : 0;
    int highVisible = highRow < total ? before + highRow / group + 1 : 0;

    unsigned query[KEY_STEPS][4];
    {
        int column = lane % 4 * 2;
        int low = min(lowRow, total - 1);
        int high = min(highRow, total - 1);
        const bf16* lowQuery = q + (firstToken + low / group) * qStride + (i64)(kvHead * group + low % group) * HD;
        const bf16* highQuery = q + (firstToken + high / group) * qStride + (i64)(kvHead * group + high % group) * HD;
#pragma unroll
        for (int k = 0; k < KEY_STEPS; k++) {
            query[k][0] = *(const unsigned*)(lowQuery + k * 16 + column);
            query[k][1] = *(const unsigned*)(highQuery + k * 16 + column);
            query[k][2] = *(const unsigned*)(lowQuery + k * 16 + column + 8);
            query[k][3] = *(const unsigned*)(highQuery + k * 16 + column + 8);
        }
    }
    float result[OUT_TILES][4];
#pragma unroll
    for (int n = 0; n < OUT_TILES; n++) {
        result[n][0] = result[n][1] = result[n][2] = result[n][3] = 0.f;
    }
    float maxLow = -infinity();
    float maxHigh = -infinity();
    float sumLow = 0.f;
    float sumHigh = 0.f;
    float factor = scale * 1.44269504f;

    unsigned base = (unsigned)__cvta_generic_to_shared(shared);
    int stage = 0;
    if (from < to) {
        load_round<HD>(base, base + TILE_BYTES, keys, keyStride, values, valueStride, table, from, to);
    }
    for (int start = from; start < to; start += ROUND) {
        unsigned keyTile = base + stage * 2 * TILE_BYTES;
        unsigned valueTile = keyTile + TILE_BYTES;
        stage ^= 1;
        if (start + ROUND < to) {
            unsigned next = base + stage * 2 * TILE_BYTES;
            load_round<HD>(next, next + TILE_BYTES, keys, keyStride, values, valueStride, table, start + ROUND, to);
            wait<1>();
        } else {
            wait<0>();
        }
        __syncthreads();

        int offset = DECODE ? warp * 16 : 0;
        float score[SCORE_TILES][4];
#pragma unroll
        for (int n = 0; n < SCORE_TILES; n++) {
            score[n][0] = score[n][1] = score[n][2] = score[n][3] = 0.f;
#pragma unroll
            for (int k = 0; k < KEY_STEPS; k += 2) {
                unsigned key[4];
                load_matrices(key, keyTile + place<HD>(offset + n * 8 + lane % 8, k * 2 + lane / 8));
                multiply(score[n], query[k], key[0], key[1]);
                multiply(score[n], query[k + 1], key[2], key[3]);
            }
        }
        float newLow = maxLow;
        float newHigh = maxHigh;
#pragma unroll
        for (int n = 0; n < SCORE_TILES; n++) {
            int position = start + offset + n * 8 + lane % 4 * 2;
#pragma unroll
            for (int i = 0; i < 2; i++) {
                bool inside = position + i < to;
                score[n][i] = inside && position + i < lowVisible ? score[n][i] * factor : -infinity();
                score[n][2 + i] = inside && position + i < highVisible ? score[n][2 + i] * factor : -infinity();
                newLow = fmaxf(newLow, score[n][i]);
                newHigh = fmaxf(newHigh, score[n][2 + i]);
            }
        }
        for (int step = 1; step < 4; step <<= 1) {
            newLow = fmaxf(newLow, __shfl_xor_sync(0xffffffffu, newLow, step));
            newHigh = fmaxf(newHigh, __shfl_xor_sync(0xffffffffu, newHigh, step));
        }
        // A row that sees nothing yet keeps the base zero, so that no infinity is taken from another.
        float baseLow = newLow == -infinity() ? 0.f : newLow;
        float baseHigh = newHigh == -infinity() ? 0.f : newHigh;
        float rescaleLow = power2(maxLow - baseLow);
        float rescaleHigh = power2(maxHigh - baseHigh);
        maxLow = newLow;
        maxHigh = newHigh;
        sumLow *= rescaleLow;
        sumHigh *= rescaleHigh;
#pragma unroll
        for (int n = 0; n < SCORE_TILES; n++) {
#pragma unroll
            for (int i = 0; i < 2; i++) {
                score[n][i] = power2(score[n][i] - baseLow);
                score[n][2 + i] = power2(score[n][2 + i] - baseHigh);
                sumLow += score[n][i];
                sumHigh += score[n][2 + i];
            }
        }
#pragma unroll
        for (int n = 0; n < OUT_TILES; n++) {
            result[n][0] *= rescaleLow;
            result[n][1] *= rescaleLow;
            result[n][2] *= rescaleHigh;
            result[n][3] *= rescaleHigh;
        }
#pragma unroll
        for (int k = 0; k < SCORE_TILES / 2; k++) {
            unsigned p[4] = {pack(score[2 * k][0], score[2 * k][1]), pack(score[2 * k][2], score[2 * k][3]),
                             pack(score[2 * k + 1][0], score[2 * k + 1][1]),
                             pack(score[2 * k + 1][2], score[2 * k + 1][3])};
#pragma unroll
            for (int n = 0; n < OUT_TILES; n += 2) {
                unsigned value[4];
                int row = offset + k * 16 + lane % 8 + lane / 8 % 2 * 8;
                load_transposed(value, valueTile + place<HD>(row, n + lane / 16));
                multiply(result[n], p, value[0], value[1]);
                multiply(result[n + 1], p, value[2], value[3]);
            }
        }
        __syncthreads();
    }
    for (int step = 1; step < 4; step <<= 1) {
        sumLow += __shfl_xor_sync(0xffffffffu, sumLow, step);
        sumHigh += __shfl_xor_sync(0xffffffffu, sumHigh, step);
    }
    if (!DECODE) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int row = half ? highRow : lowRow;
            if (row < total) {
                float inverse = 1.f / (half ? sumHigh : sumLow);
                bf16* to = out + (firstToken + row / group) * outStride + (i64)(kvHead * group + row % group) * HD;
#pragma unroll
                for (int n = 0; n < OUT_TILES; n++) {
                    *(unsigned*)(to + n * 8 + lane % 4 * 2) =
                        pack(result[n][half * 2] * inverse, result[n][half * 2 + 1] * inverse);
                }
            }
        }
        return;
    }
    // Join the warps' parts: [WARPS][16][HD] results, then maxima and sums [WARPS][16].
    float* parts = (float*)shared;
    float* maxima = parts + WARPS * 16 * HD;
    float* sums = maxima + WARPS * 16;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int row = warp * 16 + lane / 4 + half * 8;
#pragma unroll
        for (int n = 0; n < OUT_TILES; n++) {
            parts[row * HD + n * 8 + lane % 4 * 2] = result[n][half * 2];
            parts[row * HD + n * 8 + lane % 4 * 2 + 1] = result[n][half * 2 + 1];
        }
        if (lane % 4 == 0) {
            maxima[row] = half ? maxHigh : maxLow;
            sums[row] = half ? sumHigh : sumLow;
        }
    }
    __syncthreads();
    int rows = lastRow - row0 + 1;
    for (int i = threadIdx.x; i < rows * HD; i += WARPS * 32) {
        int row = i / HD;
        float best = -infinity();
        for (int w = 0; w < WARPS; w++) {
            best = fmaxf(best, maxima[w * 16 + row]);
        }
        float sum = 0.f;
        float x = 0.f;
        for (int w = 0; w < WARPS; w++) {
            float m = maxima[w * 16 + row];
            float weight = m == -infinity() ? 0.f : power2(m - best);
            sum += weight * sums[w * 16 + row];
            x += weight * parts[(w * 16 + row) * HD + i % HD];
        }
        i64 head = kvHead * group + row0 + row;
        if (splits == 1) {
            out[(i64)firstToken * outStride + head * HD + i % HD] = narrow<bf16>(x / sum);
        } else {
            float* own = partial + (((i64)firstToken * heads + head) * splits + blockIdx.z) * (HD + 2);
            own[i % HD] = x;
            if (i % HD == 0) {
                own[HD] = best == -infinity() ? best : best * 0.693147181f;
                own[HD + 1] = sum;
            }
        }
    }
}

#define FLASH(NAME, HD, DECODE)                                                                                        \
    extern "C" __global__ void __launch_bounds__(128) NAME(                                                           \
        const bf16* q, i64 qs, const bf16* keys, i64 ks, const bf16* values, i64 vs, const int* queryStart,            \
        const int* contextLengths, const int* rows, const int* slotTable, i64 slotStride, float* partial, bf16* out,   \
        i64 os, int sequences, int heads, int kvHeads, float scale) {                                                  \
        flash<HD, DECODE>(q, qs, keys, ks, values, vs, queryStart, contextLengths, rows, slotTable, slotStride,        \
                          partial, out, os, sequences, heads, kvHeads, scale);                                         \
    }
FLASH(flash_extend_64, 64, false)
FLASH(flash_extend_128, 128, false)
FLASH(flash_decode_64, 64, true)
FLASH(flash_decode_128, 128, true)
