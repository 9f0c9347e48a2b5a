// Causal attention over a paged cache, any head and value size: one query token a block row, its heads of one key head
// in groups of HEADS, the context in splits. Each block keeps a running softmax (Flash-Decoding); a second kernel joins
// the splits. MLA in its absorbed form is the case of one key head whose first valueDim elements are the value.
//
// q [T, heads * headDim], keys [slots, kvHeads * headDim], values [slots, kvHeads * valueDim],
// partial [T, heads, splits, valueDim + 2]: weighted values, then maximum and sum.

static const int HEADS = 8;       // query heads of a block
static const int TILE = 32;       // positions of a round
static const int THREADS = 128;
static const int MOST_DIMS = 4;   // value elements a thread: valueDim <= THREADS * MOST_DIMS

struct Batch {
    const int* queryStart;
    const int* contextLengths;
    const int* rows;
    const int* slotTable;
    i64 slotStride;
    int sequences;
};

// The sequence of query row t: the last b with queryStart[b] <= t.
__device__ __forceinline__ int sequence_of(const Batch& batch, int t) {
    int low = 0;
    int high = batch.sequences - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (batch.queryStart[middle] <= t) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

template <class A, class C>
__device__ void attend(const A* q, i64 qStride, const C* keys, i64 keyStride, const C* values, i64 valueStride,
                       Batch batch, int heads, int kvHeads, int headDim, int valueDim, float scale, float* partial) {
    enter();
    extern __shared__ float shared[];
    float* query = shared;                        // [HEADS, headDim]
    float* score = query + HEADS * headDim;       // [HEADS, TILE]
    __shared__ float maxima[HEADS];
    __shared__ float sums[HEADS];
    __shared__ float rescale[HEADS];
    __shared__ int slot[TILE];

    int t = blockIdx.x;
    int group = heads / kvHeads;
    int pieces = (group + HEADS - 1) / HEADS;
    int kvHead = blockIdx.y / pieces;
    int firstHead = kvHead * group + blockIdx.y % pieces * HEADS;
    int count = min(HEADS, kvHead * group + group - firstHead);
    int splits = gridDim.z;

    int b = sequence_of(batch, t);
    int visible = batch.contextLengths[b] - (batch.queryStart[b + 1] - 1 - t);
    int share = ((visible + splits - 1) / splits + TILE - 1) / TILE * TILE;
    int from = min(visible, (int)blockIdx.z * share);
    int to = min(visible, from + share);
    const int* table = batch.slotTable + (i64)batch.rows[b] * batch.slotStride;

    for (int i = threadIdx.x; i < HEADS * headDim; i += THREADS) {
        int h = i / headDim;
        query[i] = h < count ? widen(q[t * qStride + (i64)(firstHead + h) * headDim + i % headDim]) * scale : 0.f;
    }
    if (threadIdx.x < HEADS) {
        maxima[threadIdx.x] = -infinity();
        sums[threadIdx.x] = 0.f;
    }
    float acc[HEADS][MOST_DIMS];
    for (int h = 0; h < HEADS; h++) {
        for (int d = 0; d < MOST_DIMS; d++) {
            acc[h][d] = 0.f;
        }
    }
    int warp = threadIdx.x / 32;
    int lane = threadIdx.x % 32;
    for (int start = from; start < to; start += TILE) {
        int positions = min(TILE, to - start);
        __syncthreads();
        if (threadIdx.x < positions) {
            slot[threadIdx.x] = table[start + threadIdx.x];
        }
        __syncthreads();
        for (int p = warp; p < TILE; p += THREADS / 32) {
            float dot[HEADS];
            for (int h = 0; h < HEADS; h++) {
                dot[h] = 0.f;
            }
            if (p < positions) {
                const C* key = keys + (i64)slot[p] * keyStride + (i64)kvHead * headDim;
                for (int i = lane; i < headDim; i += 32) {
                    float k = widen(key[i]);
#pragma unroll
                    for (int h = 0; h < HEADS; h++) {
                        dot[h] += k * query[h * headDim + i];
                    }
                }
            }
#pragma unroll
            for (int h = 0; h < HEADS; h++) {
                float sum = warp_sum(dot[h]);
                if (lane == 0) {
                    score[h * TILE + p] = p < positions ? sum : -infinity();
                }
            }
        }
        __syncthreads();
        for (int h = warp; h < HEADS; h += THREADS / 32) {
            float s = score[h * TILE + lane];
            float before = maxima[h];
            float now = fmaxf(before, warp_max(s));
            float p = __expf(s - now);
            score[h * TILE + lane] = p;
            float sum = warp_sum(p);
            __syncwarp();
            if (lane == 0) {
                float factor = __expf(before - now);
                rescale[h] = factor;
                maxima[h] = now;
                sums[h] = sums[h] * factor + sum;
            }
        }
        __syncthreads();
#pragma unroll
        for (int h = 0; h < HEADS; h++) {
#pragma unroll
            for (int d = 0; d < MOST_DIMS; d++) {
                acc[h][d] *= rescale[h];
            }
        }
        for (int p = 0; p < positions; p++) {
            const C* value = values + (i64)slot[p] * valueStride + (i64)kvHead * valueDim;
#pragma unroll
            for (int d = 0; d < MOST_DIMS; d++) {
                int i = d * THREADS + threadIdx.x;
                if (i < valueDim) {
                    float v = widen(value[i]);
#pragma unroll
                    for (int h = 0; h < HEADS; h++) {
                        acc[h][d] += v * score[h * TILE + p];
                    }
                }
            }
        }
    }
    __syncthreads();
    for (int h = 0; h < count; h++) {
        float* out = partial + (((i64)t * heads + firstHead + h) * splits + blockIdx.z) * (valueDim + 2);
#pragma unroll
        for (int d = 0; d < MOST_DIMS; d++) {
            int i = d * THREADS + threadIdx.x;
            if (i < valueDim) {
                // The loop over h is not unrolled (count varies), so acc must be chosen, not indexed.
                float x = 0.f;
#pragma unroll
                for (int k = 0; k < HEADS; k++) {
                    x = k == h ? acc[k][d] : x;
                }
                out[i] = x;
            }
        }
        if (threadIdx.x == 0) {
            out[valueDim] = maxima[h];
            out[valueDim + 1] = sums[h];
        }
    }
}

// Joins the splits of query token blockIdx.x, head blockIdx.y.
template <class A>
__device__ void join(const float* partial, int heads, int splits, int valueDim, A* out, i64 outStride) {
    enter();
    i64 t = blockIdx.x;
    int h = blockIdx.y;
    const float* own = partial + (t * heads + h) * splits * (valueDim + 2);
    float best = -infinity();
    for (int s = 0; s < splits; s++) {
        best = fmaxf(best, own[s * (valueDim + 2) + valueDim]);
    }
    float sum = 0.f;
    for (int s = 0; s < splits; s++) {
        const float* one = own + s * (valueDim + 2);
        sum += one[valueDim + 1] * __expf(one[valueDim] - best);
    }
    for (int i = threadIdx.x; i < valueDim; i += blockDim.x) {
        float x = 0.f;
        for (int s = 0; s < splits; s++) {
            const float* one = own + s * (valueDim + 2);
            float factor = __expf(one[valueDim] - best);
            x += factor == 0.f ? 0.f : one[i] * factor;
        }
        out[t * outStride + (i64)h * valueDim + i] = narrow<A>(x / sum);
    }
}

#define ATTEND(A, C)                                                                                                   \
    extern "C" __global__ void __launch_bounds__(128) attend_##A##_##C(                                               \
        const A* q, i64 qs, const C* keys, i64 ks, const C* values, i64 vs, const int* queryStart,                     \
        const int* contextLengths, const int* rows, const int* slotTable, i64 slotStride, float* partial,              \
        int sequences, int heads, int kvHeads, int headDim, int valueDim, float scale) {                               \
        Batch batch = {queryStart, contextLengths, rows, slotTable, slotStride, sequences};                            \
        attend(q, qs, keys, ks, values, vs, batch, heads, kvHeads, headDim, valueDim, scale, partial);                 \
    }
ATTEND(float, float)
ATTEND(float, bf16)
ATTEND(bf16, float)
ATTEND(bf16, bf16)

#define JOIN(A)                                                                                                        \
    extern "C" __global__ void join_##A(const float* partial, A* out, i64 os, int heads, int splits, int valueDim) {   \
        join(partial, heads, splits, valueDim, out, os);                                                               \
    }
JOIN(float)
JOIN(bf16)
