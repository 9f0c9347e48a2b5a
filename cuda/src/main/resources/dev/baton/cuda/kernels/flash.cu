// Causal attention over a paged bf16 cache with tensor cores (FlashAttention-2's order of work): heads of 64 or 128, and
// of 192 with values of 128 (latent attention with expanded keys).
// Query heads that share a key head are rows of one tile: row r of a sequence is token r / group, head r % group.
//
// extend: a block owns 64 rows, 16 a warp; all warps walk over the same positions.
// decode: a block owns at most 16 heads of one sequence's only token; its warps share the positions of each round.
//
// q [T, heads * KD], keys [slots, kvHeads * KD], values [slots, kvHeads * VD]; partial [T, heads, splits, VD + 2]:
// weighted values, maximum (of scores in powers of two) and sum, and arrived [grid x * grid y], zeros between launches,
// serve gridDim.z > 1 where the splits are no cluster; without arrived they are one.

static const int WARPS = 4;
static const int ROUND = 64;  // positions of a round
static const int MOST_CLUSTER = 8;

// Eight threads copy a row, sixteen rows at once. Their slots are read a round ahead, so that no copy waits for its address.
template <int KD, int VD> struct Round {
    static const int STRIDE = WARPS * 32 / 8;  // rows between two of a thread
    static const int PER = ROUND / STRIDE;
    int slots[PER];

    // Behind the end the last row stands in: its probability is zero, and it is finite.
    __device__ __forceinline__ void find(const int* table, int start, int to) {
        if (start < to) {
#pragma unroll
            for (int j = 0; j < PER; j++) {
                slots[j] = table[min(start + (int)threadIdx.x / 8 + j * STRIDE, to - 1)];
            }
        }
    }

    __device__ __forceinline__ void load(unsigned keyTile, unsigned valueTile, const bf16* keys, i64 keyStride,
                                         const bf16* values, i64 valueStride) const {
#pragma unroll
        for (int j = 0; j < PER; j++) {
            int row = threadIdx.x / 8 + j * STRIDE;
            i64 slot = slots[j];
#pragma unroll
            for (int i = 0; i < KD / 64; i++) {
                int chunk = i * 8 + threadIdx.x % 8;
                copy_async(keyTile + spot<2 * KD>(row, chunk), keys + slot * keyStride + chunk * 8);
            }
#pragma unroll
            for (int i = 0; i < VD / 64; i++) {
                int chunk = i * 8 + threadIdx.x % 8;
                copy_async(valueTile + spot<2 * VD>(row, chunk), values + slot * valueStride + chunk * 8);
            }
        }
        commit();
    }
};

// out [rows, VD] from partial [rows, splits, VD + 2]; weights has room for rows * splits floats.
template <int VD>
__device__ __forceinline__ void join_splits(const float* partial, int rows, int splits, bf16* out, float* weights) {
    for (int row = threadIdx.x / 32; row < rows; row += WARPS) {
        const float* own = partial + (i64)row * splits * (VD + 2) + VD;
        float best = -infinity();
        for (int s = threadIdx.x % 32; s < splits; s += 32) {
            best = fmaxf(best, __ldcg(own + s * (VD + 2)));
        }
        best = warp_max(best);
        float sum = 0.f;
        for (int s = threadIdx.x % 32; s < splits; s += 32) {
            float m = __ldcg(own + s * (VD + 2));
            float weight = m == -infinity() ? 0.f : power2(m - best);
            weights[row * splits + s] = weight;
            sum += weight * __ldcg(own + s * (VD + 2) + 1);
        }
        sum = warp_sum(sum);
        for (int s = threadIdx.x % 32; s < splits; s += 32) {
            weights[row * splits + s] /= sum;
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < rows * VD; i += WARPS * 32) {
        int row = i / VD;
        const float* own = partial + (i64)row * splits * (VD + 2) + i % VD;
        float x = 0.f;
#pragma unroll 8
        for (int s = 0; s < splits; s++) {
            x += weights[row * splits + s] * __ldcg(own + s * (VD + 2));
        }
        out[i] = narrow<bf16>(x);
    }
}

template <int KD, int VD, bool DECODE>
__device__ void flash(const bf16* q, i64 qStride, const bf16* keys, i64 keyStride, const bf16* values, i64 valueStride,
                      const int* queryStart, const int* contextLengths, const int* tableRows, const int* slotTable,
                      i64 slotStride, float* partial, int* arrived, bf16* out, i64 outStride, int sequences, int heads,
                      int kvHeads, float scale) {
    extern __shared__ __align__(128) unsigned char shared[];
    const int KEY_BYTES = ROUND * KD * 2;
    const int STAGE_BYTES = KEY_BYTES + ROUND * VD * 2;
    const int KEY_STEPS = KD / 16;
    const int OUT_TILES = VD / 8;
    const int SCORE_TILES = DECODE ? 2 : ROUND / 8;  // a decode warp takes 16 positions of a round

    if (!DECODE) {
        enter();
    }
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
    // Equal shares: what a round loads too much are repetitions of the last row, which cost no memory traffic.
    int share = ((blockVisible + splits - 1) / splits + 7) / 8 * 8;
    int from = min(blockVisible, (int)blockIdx.z * share);
    int to = min(blockVisible, from + share);
    const int* table = slotTable + (i64)tableRows[b] * slotStride;
    keys += (i64)kvHead * KD;
    values += (i64)kvHead * VD;

    unsigned base = (unsigned)__cvta_generic_to_shared(shared);
    Round<KD, VD> round;
    round.find(table, from, to);
    if (DECODE) {
        // All but the newest position were written in earlier steps: their copies need not wait for the kernel before.
        bool early = from + ROUND <= to && from + ROUND < blockVisible;
        if (early) {
            round.load(base, base + KEY_BYTES, keys, keyStride, values, valueStride);
        }
        enter();
        if (!early && from < to) {
            round.load(base, base + KEY_BYTES, keys, keyStride, values, valueStride);
        }
    } else {
        round.load(base, base + KEY_BYTES, keys, keyStride, values, valueStride);
    }
    round.find(table, from + ROUND, to);

    int lowRow = row0 + lane / 4;
    int highRow = lowRow + 8;
    int lowVisible = lowRow < total ? before + lowRow / group + 1 : 0;
    int highVisible = highRow < total ? before + highRow / group + 1 : 0;

    unsigned query[KEY_STEPS][4];
    {
        int column = lane % 4 * 2;
        int low = min(lowRow, total - 1);
        int high = min(highRow, total - 1);
        const bf16* lowQuery = q + (firstToken + low / group) * qStride + (i64)(kvHead * group + low % group) * KD;
        const bf16* highQuery = q + (firstToken + high / group) * qStride + (i64)(kvHead * group + high % group) * KD;
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

    int stage = 0;
    for (int start = from; start < to; start += ROUND) {
        unsigned keyTile = base + stage * STAGE_BYTES;
        unsigned valueTile = keyTile + KEY_BYTES;
        stage ^= 1;
        if (start + ROUND < to) {
            unsigned next = base + stage * STAGE_BYTES;
            round.load(next, next + KEY_BYTES, keys, keyStride, values, valueStride);
            round.find(table, start + 2 * ROUND, to);
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
                load_matrices(key, keyTile + spot<2 * KD>(offset + n * 8 + lane % 8, k * 2 + lane / 8));
                multiply(score[n], query[k], key[0], key[1]);
                multiply(score[n], query[k + 1], key[2], key[3]);
            }
        }
        float newLow = maxLow;
        float newHigh = maxHigh;
        mask_scores(score, start + offset, to, lowVisible, highVisible, factor, newLow, newHigh);
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
                load_transposed(value, valueTile + spot<2 * VD>(row, n + lane / 16));
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
                bf16* to = out + (firstToken + row / group) * outStride + (i64)(kvHead * group + row % group) * VD;
#pragma unroll
                for (int n = 0; n < OUT_TILES; n++) {
                    *(unsigned*)(to + n * 8 + lane % 4 * 2) =
                        pack(result[n][half * 2] * inverse, result[n][half * 2 + 1] * inverse);
                }
            }
        }
        return;
    }
    // Join the warps' parts: [WARPS][16][VD] results, then maxima and sums [WARPS][16].
    float* parts = (float*)shared;
    float* maxima = parts + WARPS * 16 * VD;
    float* sums = maxima + WARPS * 16;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int row = warp * 16 + lane / 4 + half * 8;
#pragma unroll
        for (int n = 0; n < OUT_TILES; n++) {
            parts[row * VD + n * 8 + lane % 4 * 2] = result[n][half * 2];
            parts[row * VD + n * 8 + lane % 4 * 2 + 1] = result[n][half * 2 + 1];
        }
        if (lane % 4 == 0) {
            maxima[row] = half ? maxHigh : maxLow;
            sums[row] = half ? sumHigh : sumLow;
        }
    }
    __syncthreads();
    int rows = lastRow - row0 + 1;
    float* joined = sums + WARPS * 16;  // [16][VD], then maxima and sums: what this block tells the cluster
    for (int i = threadIdx.x; i < rows * VD; i += WARPS * 32) {
        int row = i / VD;
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
            x += weight * parts[(w * 16 + row) * VD + i % VD];
        }
        i64 head = kvHead * group + row0 + row;
        if (splits == 1) {
            out[(i64)firstToken * outStride + head * VD + i % VD] = narrow<bf16>(x / sum);
        } else if (!arrived) {
            joined[i] = x;
            if (i % VD == 0) {
                joined[16 * VD + row] = best;
                joined[17 * VD + row] = sum;
            }
        } else {
            float* own = partial + (((i64)firstToken * heads + head) * splits + blockIdx.z) * (VD + 2);
            own[i % VD] = x;
            if (i % VD == 0) {
                own[VD] = best;
                own[VD + 1] = sum;
            }
        }
    }
    if (splits > 1 && !arrived) {
        // The splits are a cluster: each of its blocks joins a share of the elements.
        cluster_barrier();
        unsigned at = base + (unsigned)((unsigned char*)joined - shared);
        for (int i = blockIdx.z * WARPS * 32 + threadIdx.x; i < rows * VD; i += splits * WARPS * 32) {
            int row = i / VD;
            float m[MOST_CLUSTER];
            float sum[MOST_CLUSTER];
            float x[MOST_CLUSTER];
            float best = -infinity();
#pragma unroll
            for (int s = 0; s < MOST_CLUSTER; s++) {
                m[s] = s < splits ? remote(at + (16 * VD + row) * 4, s) : -infinity();
                sum[s] = s < splits ? remote(at + (17 * VD + row) * 4, s) : 0.f;
                x[s] = s < splits ? remote(at + i * 4, s) : 0.f;
                best = fmaxf(best, m[s]);
            }
            float all = 0.f;
            float value = 0.f;
#pragma unroll
            for (int s = 0; s < MOST_CLUSTER; s++) {
                float weight = m[s] == -infinity() ? 0.f : power2(m[s] - best);
                all += weight * sum[s];
                value += weight * x[s];
            }
            out[(i64)firstToken * outStride + (kvHead * group + row0) * VD + i] = narrow<bf16>(value / all);
        }
        cluster_barrier();  // nobody leaves while its part is read
    } else if (splits > 1) {
        // The block that comes last joins the splits, always in their order.
        __shared__ int last;
        __threadfence();
        __syncthreads();
        int* count = arrived + blockIdx.x * gridDim.y + blockIdx.y;
        if (threadIdx.x == 0) {
            last = atomicAdd(count, 1) == splits - 1;
        }
        __syncthreads();
        if (last) {
            __threadfence();
            if (threadIdx.x == 0) {
                *count = 0;
            }
            join_splits<VD>(partial + ((i64)firstToken * heads + kvHead * group + row0) * splits * (VD + 2), rows, splits,
                            out + (i64)firstToken * outStride + (kvHead * group + row0) * VD, (float*)shared);
        }
    }
}

#define FLASH(NAME, KD, VD, DECODE)                                                                                    \
    extern "C" __global__ void __launch_bounds__(128) NAME(                                                           \
        const bf16* q, i64 qs, const bf16* keys, i64 ks, const bf16* values, i64 vs, const int* queryStart,            \
        const int* contextLengths, const int* rows, const int* slotTable, i64 slotStride, float* partial,              \
        int* arrived, bf16* out, i64 os, int sequences, int heads, int kvHeads, float scale) {                         \
        flash<KD, VD, DECODE>(q, qs, keys, ks, values, vs, queryStart, contextLengths, rows, slotTable, slotStride,    \
                          partial, arrived, out, os, sequences, heads, kvHeads, scale);                                \
    }
FLASH(flash_extend_64, 64, 64, false)
FLASH(flash_extend_128, 128, 128, false)
FLASH(flash_extend_192, 192, 128, false)
FLASH(flash_decode_64, 64, 64, true)
FLASH(flash_decode_128, 128, 128, true)
