// Mixture of experts: the gate, the order of (token, choice) pairs by expert, and a product for every expert's rows.

// A token a block (one warp). Scores [experts] and choices [experts] lie in dynamic shared memory.
extern "C" __global__ void gate(const float* logits, i64 stride, const float* bias, int* ids, float* weights,
                                int experts, int groups, int keptGroups, int topTwo, int topK, int softmax,
                                int renormalize, float scale) {
    enter();
    extern __shared__ float shared[];
    float* score = shared;
    float* choice = shared + experts;
    float* groupScore = choice + experts;  // [groups]
    int lane = threadIdx.x;
    i64 t = blockIdx.x;
    const float* row = logits + t * stride;
    if (softmax) {
        float best = -infinity();
        for (int e = lane; e < experts; e += 32) {
            best = fmaxf(best, row[e]);
        }
        best = warp_max(best);
        float sum = 0.f;
        for (int e = lane; e < experts; e += 32) {
            score[e] = expf(row[e] - best);
            sum += score[e];
        }
        sum = warp_sum(sum);
        for (int e = lane; e < experts; e += 32) {
            score[e] /= sum;
        }
    } else {
        for (int e = lane; e < experts; e += 32) {
            score[e] = 1.f / (1.f + expf(-row[e]));
        }
    }
    for (int e = lane; e < experts; e += 32) {
        float c = bias ? score[e] + bias[e] : score[e];
        choice[e] = c == c ? c : -infinity();
    }
    __syncwarp();
    if (keptGroups < groups) {
        int size = experts / groups;
        for (int g = lane; g < groups; g += 32) {
            float first = -infinity();
            float second = -infinity();
            for (int e = g * size; e < (g + 1) * size; e++) {
                float c = choice[e];
                if (c > first) {
                    second = first;
                    first = c;
                } else if (c > second) {
                    second = c;
                }
            }
            groupScore[g] = topTwo && size > 1 ? first + second : first;
        }
        __syncwarp();
        for (int g = lane; g < groups; g += 32) {
            int better = 0;
            for (int other = 0; other < groups; other++) {
                better += groupScore[other] > groupScore[g] || (groupScore[other] == groupScore[g] && other < g);
            }
            if (better >= keptGroups) {
                for (int e = g * size; e < (g + 1) * size; e++) {
                    // NaN marks what cannot be taken: it compares false with everything.
                    choice[e] = __int_as_float(0x7fffffff);
                }
            }
        }
        __syncwarp();
    }
    float sum = 0.f;
    for (int k = 0; k < topK; k++) {
        float best = -infinity();
        int index = experts;
        for (int e = lane; e < experts; e += 32) {
            float c = choice[e];
            if (c > best || (c == best && e < index)) {
                best = c;
                index = e;
            }
        }
        for (int step = 16; step > 0; step >>= 1) {
            float c = __shfl_xor_sync(0xffffffffu, best, step);
            int other = __shfl_xor_sync(0xffffffffu, index, step);
            if (c > best || (c == best && other < index)) {
                best = c;
                index = other;
            }
        }
        index = min(index, experts - 1);
        sum += score[index];
        __syncwarp();  // all have read the choices
        if (lane == 0) {
            ids[t * topK + k] = index;
            weights[t * topK + k] = score[index];
            choice[index] = __int_as_float(0x7fffffff);
        }
        __syncwarp();
    }
    float factor = renormalize ? scale / (sum + 1e-20f) : scale;
    for (int k = lane; k < topK; k += 32) {
        weights[t * topK + k] *= factor;
    }
}

static const int AT_ONCE = 8;  // ids that a lane reads before it looks at them

// Orders the pairs of this rank's experts by expert, stable in the pair's number. One block of 1024 threads.
// first [experts + 1]: where an expert's pairs begin; order [pairs]: the pair at each place; place [pairs]: its reverse,
// -1 for pairs of other ranks. tiles [experts + 1]: row tiles before each expert.
extern "C" __global__ void order_pairs(const int* ids, int pairs, int firstExpert, int experts, int tileRows,
                                       int* first, int* order, int* place, int* tiles) {
    enter();
    extern __shared__ int counts[];  // [experts]
    for (int e = threadIdx.x; e < experts; e += blockDim.x) {
        counts[e] = 0;
    }
    __syncthreads();
    for (int p = threadIdx.x; p < pairs; p += blockDim.x) {
        int e = ids[p] - firstExpert;
        place[p] = -1;
        if (e >= 0 && e < experts) {
            atomicAdd(&counts[e], 1);
        }
    }
    __syncthreads();
    int warp = threadIdx.x / 32;
    int lane = threadIdx.x % 32;
    if (warp == 0) {
        int sum = 0;
        int tile = 0;
        for (int start = 0; start < experts; start += 32) {
            int e = start + lane;
            int count = e < experts ? counts[e] : 0;
            int own = (count + tileRows - 1) / tileRows;
            int sums = count;
            int tileSums = own;
            for (int step = 1; step < 32; step <<= 1) {
                int before = __shfl_up_sync(0xffffffffu, sums, step);
                int tilesBefore = __shfl_up_sync(0xffffffffu, tileSums, step);
                sums += lane >= step ? before : 0;
                tileSums += lane >= step ? tilesBefore : 0;
            }
            if (e < experts) {
                first[e] = sum + sums - count;
                tiles[e] = tile + tileSums - own;
            }
            sum += __shfl_sync(0xffffffffu, sums, 31);
            tile += __shfl_sync(0xffffffffu, tileSums, 31);
        }
        if (lane == 0) {
            first[experts] = sum;
            tiles[experts] = tile;
        }
    }
    __syncthreads();
    // One warp an expert walks over all pairs, so that the order within an expert is that of the pairs.
    for (int e = warp; e < experts; e += blockDim.x / 32) {
        int at = first[e];
        for (int start = 0; start < pairs; start += 32 * AT_ONCE) {
            int chosen[AT_ONCE];
#pragma unroll
            for (int i = 0; i < AT_ONCE; i++) {
                int p = start + i * 32 + lane;
                chosen[i] = p < pairs ? ids[p] - firstExpert : -1;
            }
#pragma unroll
            for (int i = 0; i < AT_ONCE; i++) {
                int p = start + i * 32 + lane;
                bool own = chosen[i] == e;
                unsigned mask = __ballot_sync(0xffffffffu, own);
                if (own) {
                    int to = at + __popc(mask & ((1u << lane) - 1));
                    order[to] = p;
                    place[p] = to;
                }
                at += __popc(mask);
            }
        }
    }
}

// Rows of one expert times its matrix: result[place, n] = sum_k x[row(place), k] * matrix[n, k], in tiles of ROWS x COLS.
// GATED: two matrices, silu(first) * second; x rows are tokens (pair / topK). Otherwise x rows are places.
static const int ROWS = 32;
static const int COLS = 64;
static const int DEPTH = 16;

template <class A, class W, bool GATED>
__device__ void expert_product(const A* x, i64 xStride, const W* const* matrices, const W* const* second,
                               const int* first, const int* order, const int* tiles, A* result, i64 resultStride,
                               int experts, int topK, int n, int depth) {
    enter();
    __shared__ float xs[DEPTH][ROWS + 1];
    __shared__ float ws[GATED ? 2 : 1][DEPTH][COLS + 1];
    int tile = blockIdx.x;
    if (tile >= tiles[experts]) {
        return;
    }
    int low = 0;
    int high = experts - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (tiles[middle] <= tile) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    // Experts without rows share their successor's tile number: the last of them is the one with rows.
    int e = low;
    int start = first[e] + (tile - tiles[e]) * ROWS;
    int rows = min(ROWS, first[e + 1] - start);
    int column = blockIdx.y * COLS;
    const W* a = matrices[e];
    const W* b = GATED ? second[e] : a;
    // 256 threads: thread (r, c) owns rows r, r + 16 and columns c, c + 16, c + 32, c + 48.
    int r = threadIdx.x / 16;
    int c = threadIdx.x % 16;
    float acc[2][2][4];
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 2; j++) {
            for (int k = 0; k < 4; k++) {
                acc[i][j][k] = 0.f;
            }
        }
    }
    for (int k0 = 0; k0 < depth; k0 += DEPTH) {
        for (int i = threadIdx.x; i < ROWS * DEPTH; i += 256) {
            int row = i / DEPTH;
            int k = k0 + i % DEPTH;
            float v = 0.f;
            if (row < rows && k < depth) {
                i64 source = GATED ? order[start + row] / topK : start + row;
                v = widen(x[source * xStride + k]);
            }
            xs[i % DEPTH][row] = v;
        }
        for (int i = threadIdx.x; i < COLS * DEPTH; i += 256) {
            int col = column + i / DEPTH;
            int k = k0 + i % DEPTH;
            bool inside = col < n && k < depth;
            ws[0][i % DEPTH][i / DEPTH] = inside ? widen(a[(i64)col * depth + k]) : 0.f;
            if (GATED) {
                ws[GATED ? 1 : 0][i % DEPTH][i / DEPTH] = inside ? widen(b[(i64)col * depth + k]) : 0.f;
            }
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < DEPTH; k++) {
            float x0 = xs[k][r];
            float x1 = xs[k][r + 16];
#pragma unroll
            for (int j = 0; j < 4; j++) {
                float w = ws[0][k][c + 16 * j];
                acc[0][0][j] += x0 * w;
                acc[0][1][j] += x1 * w;
                if (GATED) {
                    float u = ws[GATED ? 1 : 0][k][c + 16 * j];
                    acc[1][0][j] += x0 * u;
                    acc[1][1][j] += x1 * u;
                }
            }
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
        int row = r + 16 * i;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            int col = column + c + 16 * j;
            if (row < rows && col < n) {
                float y = GATED ? silu(acc[0][i][j]) * acc[1][i][j] : acc[0][i][j];
                result[(i64)(start + row) * resultStride + col] = narrow<A>(y);
            }
        }
    }
}

// out[t] = sum over the token's choices, in the order of expert ids, of weight * result[place].
template <class A>
__device__ void combine(const A* result, i64 resultStride, const int* ids, const int* place, const float* weights,
                        A* out, i64 outStride, int topK, int n) {
    enter();
    __shared__ int places[64];
    __shared__ float factors[64];
    i64 t = blockIdx.x;
    if (threadIdx.x < topK) {
        int id = ids[t * topK + threadIdx.x];
        int rank = 0;
        for (int k = 0; k < topK; k++) {
            int other = ids[t * topK + k];
            rank += other < id || (other == id && k < threadIdx.x);
        }
        places[rank] = place[t * topK + threadIdx.x];
        factors[rank] = weights[t * topK + threadIdx.x];
    }
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        float sum = 0.f;
        for (int k = 0; k < topK; k++) {
            if (places[k] >= 0) {
                sum += factors[k] * widen(result[(i64)places[k] * resultStride + i]);
            }
        }
        out[t * outStride + i] = narrow<A>(sum);
    }
}

#define EXPERTS(A, W)                                                                                                  \
    extern "C" __global__ void __launch_bounds__(256) expert_up_##A##_##W(                                            \
        const A* x, i64 xs, const W* const* gates, const W* const* ups, const int* first, const int* order,            \
        const int* tiles, A* result, i64 rs, int experts, int topK, int n, int depth) {                                \
        expert_product<A, W, true>(x, xs, gates, ups, first, order, tiles, result, rs, experts, topK, n, depth);       \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(256) expert_down_##A##_##W(                                          \
        const A* x, i64 xs, const W* const* downs, const W* const* none, const int* first, const int* order,           \
        const int* tiles, A* result, i64 rs, int experts, int topK, int n, int depth) {                                \
        expert_product<A, W, false>(x, xs, downs, none, first, order, tiles, result, rs, experts, topK, n, depth);     \
    }
EXPERTS(float, float)
EXPERTS(float, bf16)
EXPERTS(bf16, bf16)

#define COMBINE(A)                                                                                                     \
    extern "C" __global__ void combine_##A(const A* result, i64 rs, const int* ids, const int* place,                  \
                                           const float* weights, A* out, i64 os, int topK, int n) {                    \
        combine(result, rs, ids, place, weights, out, os, topK, n);                                                    \
    }
COMBINE(float)
COMBINE(bf16)
