// Causal attention over a paged bf16 cache with tensor cores (FlashAttention-2's order of work): heads of 64 or 128, and
// of 192 with values of 128 (latent attention with expanded keys).
// Query heads that share a key head are rows of one tile: row r of a sequence is token r / group, head r % group.
//
// A block owns 64 rows, 16 a warp; all warps walk over the same positions.
//
// q [T, heads * KD], keys [slots, kvHeads * KD], values [slots, kvHeads * VD].

static const int WARPS = 4;
static const int ROUND = 64;  // positions of a round

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

template <int KD, int VD>
__device__ void flash(const bf16* q, i64 qStride, const bf16* keys, i64 keyStride, const bf16* values, i64 valueStride,
                      const int* queryStart, const int* contextLengths, const int* tableRows, const int* slotTable,
                      i64 slotStride, bf16* out, i64 outStride, int sequences, int heads, int kvHeads, float scale) {
    extern __shared__ __align__(128) unsigned char shared[];
    const int KEY_BYTES = ROUND * KD * 2;
    const int STAGE_BYTES = KEY_BYTES + ROUND * VD * 2;
    const int KEY_STEPS = KD / 16;
    const int OUT_TILES = VD / 8;
    const int SCORE_TILES = ROUND / 8;

    enter();
    int warp = threadIdx.x / 32;
    int lane = threadIdx.x % 32;
    int group = heads / kvHeads;
    int b = 0;
    int kvHead = blockIdx.y;
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
    int row0 = tile * 64 + warp * 16;
    int lastRow = min((queryStart[b + 1] - queryStart[b]) * group, tile * 64 + 64) - 1;
    int firstToken = queryStart[b];
    int count = queryStart[b + 1] - firstToken;
    int total = count * group;
    int context = contextLengths[b];
    int before = context - count;  // position of the sequence's first new token
    int to = before + lastRow / group + 1;  // what the block sees
    const int* table = slotTable + (i64)tableRows[b] * slotStride;
    keys += (i64)kvHead * KD;
    values += (i64)kvHead * VD;

    unsigned base = (unsigned)__cvta_generic_to_shared(shared);
    Round<KD, VD> round;
    round.find(table, 0, to);
    round.load(base, base + KEY_BYTES, keys, keyStride, values, valueStride);
    round.find(table, ROUND, to);

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
    for (int start = 0; start < to; start += ROUND) {
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

        float score[SCORE_TILES][4];
#pragma unroll
        for (int n = 0; n < SCORE_TILES; n++) {
            score[n][0] = score[n][1] = score[n][2] = score[n][3] = 0.f;
#pragma unroll
            for (int k = 0; k < KEY_STEPS; k += 2) {
                unsigned key[4];
                load_matrices(key, keyTile + spot<2 * KD>(n * 8 + lane % 8, k * 2 + lane / 8));
                multiply(score[n], query[k], key[0], key[1]);
                multiply(score[n], query[k + 1], key[2], key[3]);
            }
        }
        float newLow = maxLow;
        float newHigh = maxHigh;
        mask_scores(score, start, to, lowVisible, highVisible, factor, newLow, newHigh);
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
                int row = k * 16 + lane % 8 + lane / 8 % 2 * 8;
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
}

#define FLASH(NAME, KD, VD)                                                                                            \
    extern "C" __global__ void __launch_bounds__(128) NAME(                                                           \
        const bf16* q, i64 qs, const bf16* keys, i64 ks, const bf16* values, i64 vs, const int* queryStart,            \
        const int* contextLengths, const int* rows, const int* slotTable, i64 slotStride, bf16* out, i64 os,           \
        int sequences, int heads, int kvHeads, float scale) {                                                          \
        flash<KD, VD>(q, qs, keys, ks, values, vs, queryStart, contextLengths, rows, slotTable, slotStride, out, os,   \
                      sequences, heads, kvHeads, scale);                                                               \
    }
FLASH(flash_extend_64, 64, 64)
FLASH(flash_extend_128, 128, 128)
FLASH(flash_extend_192, 192, 128)
