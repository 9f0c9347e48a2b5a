// Latent attention in its absorbed form with tensor cores (DeepSeek-V2 technical report, section 2.1): all heads share one key,
// the latent with its rotated part, and the latent alone is the value. A row of the cache is read once for both.
//
// Row r of a sequence is token r / heads, head r % heads. A block owns ROWS of them and walks over the positions of its
// split, ROUND at a time. Scores: each warp takes 16 rows and a share of the round's positions. Values: each warp takes
// all rows and 64 of the 512 columns, with the probabilities of all warps from shared memory.
//
// q [T, heads * KEY], cache [slots, KEY], partial [T, heads, splits, VALUE + 2]: weighted values, maximum (natural scores)
// and sum, for join in attention.cu; null when there is one split.

static const int KEY = 576;
static const int VALUE = 512;
static const int WARPS = 8;
static const int KEY_BYTES = KEY * 2;
static const int CHUNKS = KEY / 8;
static const int COLUMNS = VALUE / WARPS;  // of a warp

// ROUND positions of the cache to shared memory. Warp w copies rows [w PER, (w + 1) PER); lane i < PER knows the slot of the
// i-th, read a round ahead. Behind the end the last row stands in: its probability is zero, and it is finite.
template <int ROUND> struct Rows {
    static const int PER = ROUND / WARPS;
    int slot;

    __device__ __forceinline__ void find(const int* table, int start, int to) {
        if (start < to) {
            slot = table[min(start + (int)threadIdx.x / 32 * PER + (int)threadIdx.x % 32 % PER, to - 1)];
        }
    }

    __device__ __forceinline__ void load(unsigned tile, const bf16* cache, i64 stride) const {
        int lane = threadIdx.x % 32;
        int first = threadIdx.x / 32 * PER;
#pragma unroll
        for (int j = 0; j < PER; j++) {
            const bf16* row = cache + __shfl_sync(0xffffffffu, slot, j) * stride;
            copy_async(tile + spot<KEY_BYTES>(first + j, lane), row + lane * 8);
            copy_async(tile + spot<KEY_BYTES>(first + j, 32 + lane), row + (32 + lane) * 8);
        }
        // The last eight chunks of four rows at once.
#pragma unroll
        for (int j = 0; j < PER; j += 4) {
            int row = j + lane / 8;
            const bf16* from = cache + __shfl_sync(0xffffffffu, slot, row) * stride;
            copy_async(tile + spot<KEY_BYTES>(first + row, 64 + lane % 8), from + (64 + lane % 8) * 8);
        }
        commit();
    }
};

template <int MT, int ROUND, int STAGES>
__device__ void latent(const bf16* q, i64 qStride, const bf16* cache, i64 stride, const int* queryStart,
                       const int* contextLengths, const int* tableRows, const int* slotTable, i64 slotStride,
                       float* partial, bf16* out, i64 outStride, int sequences, int heads, float scale, int decode) {
    const int ROWS = 16 * MT;
    const int SHARES = WARPS / MT;                // warps that share the positions of 16 rows
    const int TILES = ROUND / 8 / SHARES;         // of 8 positions, a warp's share
    const int QUERY_BYTES = ROWS * KEY_BYTES;
    const int STAGE_BYTES = ROUND * KEY_BYTES;
    const int WEIGHT_BYTES = ROUND * 2 + 16;      // a row of probabilities; padded against bank conflicts
    extern __shared__ __align__(128) unsigned char shared[];
    __shared__ float maxima[SHARES][ROWS];
    __shared__ float sums[SHARES][ROWS];
    __shared__ float rescale[ROWS];

    enter();
    int warp = threadIdx.x / 32;
    int lane = threadIdx.x % 32;
    int b;
    int tile;
    if (decode) {
        int tiles = (heads + ROWS - 1) / ROWS;
        b = blockIdx.x / tiles;
        tile = blockIdx.x % tiles;
    } else {
        tile = blockIdx.x;
        for (b = 0; b < sequences; b++) {
            int tiles = ((queryStart[b + 1] - queryStart[b]) * heads + ROWS - 1) / ROWS;
            if (tile < tiles) {
                break;
            }
            tile -= tiles;
        }
        if (b == sequences) {
            return;
        }
    }
    int firstToken = queryStart[b];
    int count = queryStart[b + 1] - firstToken;
    int total = count * heads;
    int before = contextLengths[b] - count;  // position of the sequence's first new token
    int row0 = tile * ROWS;
    int blockVisible = before + min(total - 1, row0 + ROWS - 1) / heads + 1;
    int splits = gridDim.y;
    int share = ((blockVisible + splits - 1) / splits + 7) / 8 * 8;
    int from = min(blockVisible, (int)blockIdx.y * share);
    int to = min(blockVisible, from + share);
    const int* table = slotTable + (i64)tableRows[b] * slotStride;

    unsigned base = (unsigned)__cvta_generic_to_shared(shared);
    unsigned tiles = base + QUERY_BYTES;
    unsigned weights = tiles + STAGES * STAGE_BYTES;

    // The queries belong to the first round's group of copies.
    for (int i = threadIdx.x; i < ROWS * CHUNKS; i += WARPS * 32) {
        int row = i / CHUNKS;
        int chunk = i % CHUNKS;
        int r = min(row0 + row, total - 1);
        copy_async(base + spot<KEY_BYTES>(row, chunk), q + (firstToken + r / heads) * qStride + (i64)(r % heads) * KEY + chunk * 8);
    }
    Rows<ROUND> rows;
    rows.slot = 0;
#pragma unroll
    for (int s = 0; s < STAGES - 1; s++) {
        rows.find(table, from + s * ROUND, to);
        if (from + s * ROUND < to) {
            rows.load(tiles + s * STAGE_BYTES, cache, stride);
        } else {
            commit();
        }
    }
    rows.find(table, from + (STAGES - 1) * ROUND, to);

    // The rows whose scores this warp computes.
    int m = warp / SHARES;
    int offset = warp % SHARES * TILES * 8;
    int low = m * 16 + lane / 4;
    int high = low + 8;
    int lowVisible = row0 + low < total ? before + (row0 + low) / heads + 1 : 0;
    int highVisible = row0 + high < total ? before + (row0 + high) / heads + 1 : 0;
    float maxLow = -infinity();
    float maxHigh = -infinity();
    float sumLow = 0.f;
    float sumHigh = 0.f;
    float factor = scale * 1.44269504f;
    float result[MT][COLUMNS / 8][4];
#pragma unroll
    for (int i = 0; i < MT; i++) {
#pragma unroll
        for (int n = 0; n < COLUMNS / 8; n++) {
            result[i][n][0] = result[i][n][1] = result[i][n][2] = result[i][n][3] = 0.f;
        }
    }

    int stage = 0;
    for (int start = from; start < to; start += ROUND) {
        wait<STAGES - 2>();
        __syncthreads();  // the round is there, and nobody reads the one before any more
        int next = start + (STAGES - 1) * ROUND;
        if (next < to) {
            rows.load(tiles + (stage + STAGES - 1) % STAGES * STAGE_BYTES, cache, stride);
            rows.find(table, next + ROUND, to);
        } else {
            commit();
        }
        unsigned keys = tiles + stage * STAGE_BYTES;
        stage = (stage + 1) % STAGES;

        float score[TILES][4];
#pragma unroll
        for (int n = 0; n < TILES; n++) {
            score[n][0] = score[n][1] = score[n][2] = score[n][3] = 0.f;
        }
#pragma unroll 6
        for (int k = 0; k < KEY / 16; k += 2) {
            unsigned query[2][4];
            load_matrices(query[0], base + spot<KEY_BYTES>(m * 16 + lane % 16, k * 2 + lane / 16));
            load_matrices(query[1], base + spot<KEY_BYTES>(m * 16 + lane % 16, k * 2 + 2 + lane / 16));
#pragma unroll
            for (int n = 0; n < TILES; n++) {
                unsigned key[4];
                load_matrices(key, keys + spot<KEY_BYTES>(offset + n * 8 + lane % 8, k * 2 + lane / 8));
                multiply(score[n], query[0], key[0], key[1]);
                multiply(score[n], query[1], key[2], key[3]);
            }
        }
        float newLow = -infinity();
        float newHigh = -infinity();
        mask_scores(score, start + offset, to, lowVisible, highVisible, factor, newLow, newHigh);
        if (lane % 4 == 0) {
            maxima[warp % SHARES][low] = newLow;
            maxima[warp % SHARES][high] = newHigh;
        }
        __syncthreads();
        newLow = maxLow;
        newHigh = maxHigh;
#pragma unroll
        for (int s = 0; s < SHARES; s++) {
            newLow = fmaxf(newLow, maxima[s][low]);
            newHigh = fmaxf(newHigh, maxima[s][high]);
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
        if (warp % SHARES == 0 && lane % 4 == 0) {
            rescale[low] = rescaleLow;
            rescale[high] = rescaleHigh;
        }
        unsigned char* own = shared + QUERY_BYTES + STAGES * STAGE_BYTES + (offset + lane % 4 * 2) * 2;
#pragma unroll
        for (int n = 0; n < TILES; n++) {
            float p[4];
#pragma unroll
            for (int i = 0; i < 2; i++) {
                p[i] = power2(score[n][i] - baseLow);
                p[2 + i] = power2(score[n][2 + i] - baseHigh);
                sumLow += p[i];
                sumHigh += p[2 + i];
            }
            *(unsigned*)(own + low * WEIGHT_BYTES + n * 16) = pack(p[0], p[1]);
            *(unsigned*)(own + high * WEIGHT_BYTES + n * 16) = pack(p[2], p[3]);
        }
        __syncthreads();
#pragma unroll
        for (int i = 0; i < MT; i++) {
            float scaleLow = rescale[i * 16 + lane / 4];
            float scaleHigh = rescale[i * 16 + lane / 4 + 8];
#pragma unroll
            for (int n = 0; n < COLUMNS / 8; n++) {
                result[i][n][0] *= scaleLow;
                result[i][n][1] *= scaleLow;
                result[i][n][2] *= scaleHigh;
                result[i][n][3] *= scaleHigh;
            }
        }
#pragma unroll
        for (int k = 0; k < ROUND / 16; k++) {
            unsigned p[MT][4];
#pragma unroll
            for (int i = 0; i < MT; i++) {
                load_matrices(p[i], weights + (i * 16 + lane % 16) * WEIGHT_BYTES + k * 32 + lane / 16 * 16);
            }
#pragma unroll
            for (int n = 0; n < COLUMNS / 8; n += 2) {
                unsigned value[4];
                int row = k * 16 + lane % 8 + lane / 8 % 2 * 8;
                load_transposed(value, keys + spot<KEY_BYTES>(row, warp * (COLUMNS / 8) + n + lane / 16));
#pragma unroll
                for (int i = 0; i < MT; i++) {
                    multiply(result[i][n], p[i], value[0], value[1]);
                    multiply(result[i][n + 1], p[i], value[2], value[3]);
                }
            }
        }
    }
    for (int step = 1; step < 4; step <<= 1) {
        sumLow += __shfl_xor_sync(0xffffffffu, sumLow, step);
        sumHigh += __shfl_xor_sync(0xffffffffu, sumHigh, step);
    }
    if (lane % 4 == 0) {
        sums[warp % SHARES][low] = sumLow;
        sums[warp % SHARES][high] = sumHigh;
        if (warp % SHARES == 0) {
            maxima[0][low] = maxLow;
            maxima[0][high] = maxHigh;
        }
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < MT; i++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int local = i * 16 + lane / 4 + half * 8;
            int row = row0 + local;
            if (row >= total) {
                continue;
            }
            float sum = 0.f;
#pragma unroll
            for (int s = 0; s < SHARES; s++) {
                sum += sums[s][local];
            }
            i64 token = firstToken + row / heads;
            int head = row % heads;
            int column = warp * COLUMNS + lane % 4 * 2;
            if (!partial) {
                bf16* to = out + token * outStride + (i64)head * VALUE + column;
                float inverse = 1.f / sum;
#pragma unroll
                for (int n = 0; n < COLUMNS / 8; n++) {
                    *(unsigned*)(to + n * 8) =
                        pack(result[i][n][half * 2] * inverse, result[i][n][half * 2 + 1] * inverse);
                }
            } else {
                float* to = partial + ((token * heads + head) * splits + blockIdx.y) * (VALUE + 2);
#pragma unroll
                for (int n = 0; n < COLUMNS / 8; n++) {
                    to[column + n * 8] = result[i][n][half * 2];
                    to[column + n * 8 + 1] = result[i][n][half * 2 + 1];
                }
                if (column == 0) {
                    to[VALUE] = maxima[0][local] * 0.693147181f;
                    to[VALUE + 1] = sum;
                }
            }
        }
    }
}

#define LATENT(NAME, MT, ROUND, STAGES)                                                                                \
    extern "C" __global__ void __launch_bounds__(256) NAME(                                                            \
        const bf16* q, i64 qs, const bf16* cache, i64 stride, const int* queryStart, const int* contextLengths,        \
        const int* rows, const int* slotTable, i64 slotStride, float* partial, bf16* out, i64 os, int sequences,       \
        int heads, float scale, int decode) {                                                                          \
        latent<MT, ROUND, STAGES>(q, qs, cache, stride, queryStart, contextLengths, rows, slotTable, slotStride,       \
                                  partial, out, os, sequences, heads, scale, decode);                                  \
    }
LATENT(latent_16, 1, 64, 2)
LATENT(latent_64, 4, 32, 3)
