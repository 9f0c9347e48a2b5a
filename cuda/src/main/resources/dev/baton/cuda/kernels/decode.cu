// Attention of one new token a sequence over a paged bf16 cache with tensor cores; heads of 64 or 128. Query heads that share
// a key head fill a tile, eight a block. Blocks [sequence, key head and tile of heads, part of the context].
//
// A warp owns units of 16 positions and a ring of shared memory for them: it waits for no other before its last unit. Blocks
// that share a context are a cluster (send each other their parts), or leave those in memory for the one that comes last; both
// add in a fixed order.
//
// What is read before wait_previous(): the step's tables (begin_step, a step's first kernel, wrote them; each kernel lets the
// next one start only behind its own wait, so what was written two kernels ago is there) and all cached rows but the newest
// one, which earlier steps wrote. Nobody writes those while a step runs: a step writes its newest positions alone, and pages
// are moved between steps. The newest row and q come from the kernel before and are read behind the wait.
//
// q [T, heads * D], keys and values [slots, kvHeads * D]. partial [T, heads, splits, D + 2] (weighted values, maximum of
// scores in powers of two, sum) and arrived [grid x * grid y], zeros between launches, serve splits that are no cluster. The
// number of splits is a power of two.

#include "cluster.cuh"

static const int UNIT = 16;  // positions
static const int HEADS = 8;
static const int MOST_CLUSTER = 8;

__device__ __forceinline__ void write4(bf16* p, float4 x) { *(uint2*)p = make_uint2(pack(x.x, x.y), pack(x.z, x.w)); }

__device__ __forceinline__ void add_weighted(float4& sum, float weight, float4 x) {
    sum.x += weight * x.x, sum.y += weight * x.y, sum.z += weight * x.z, sum.w += weight * x.w;
}

__device__ __forceinline__ float4 scaled(float4 x, float by) { return make_float4(x.x * by, x.y * by, x.z * by, x.w * by); }

// An 8 x 8 matrix of bf16, a row in four lanes, the other way round.
__device__ __forceinline__ unsigned transpose(unsigned x) {
    unsigned y;
    asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(y) : "r"(x));
    return y;
}

// The block that comes last joins the splits, always in their order: out [rows, D] from parts [rows, splits, D + 2].
template <int D, int WARPS>
__device__ __forceinline__ void join_in_memory(const float* parts, int* arrived, int rows, int splits, bf16* out) {
    __shared__ int last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        last = atomicAdd(arrived, 1) == splits - 1;
    }
    __syncthreads();
    if (!last) {
        return;
    }
    __threadfence();
    if (threadIdx.x == 0) {
        *arrived = 0;
    }
#pragma unroll 1
    for (int i = threadIdx.x; i < rows * D; i += WARPS * 32) {
        const float* from = parts + (i64)(i / D) * splits * (D + 2);
        float best = -infinity();
        for (int s = 0; s < splits; s++) {
            best = fmaxf(best, __ldcg(from + s * (D + 2) + D));
        }
        float all = 0.f;
        float x = 0.f;
#pragma unroll 8
        for (int s = 0; s < splits; s++) {
            const float* one = from + s * (D + 2);
            float m = __ldcg(one + D);
            float weight = m == -infinity() ? 0.f : power2(m - best);
            all += weight * __ldcg(one + D + 1);
            x += weight * __ldcg(one + i % D);
        }
        out[i] = narrow<bf16>(x / all);
    }
}

// stages: units of a ring that have shared memory. Fewer than STAGES only where no warp has more units than that.
template <int D, int WARPS, int STAGES>
__device__ __forceinline__ void decode(const bf16* q, i64 qStride, const bf16* keys, i64 keyStride, const bf16* values,
                                       i64 valueStride, const int* queryStart, const int* contextLengths,
                                       const int* tableRows, const int* slotTable, i64 slotStride, float* partial,
                                       int* arrived, bf16* out, i64 outStride, int kvHeads, int group, float scale,
                                       int stages) {
    extern __shared__ __align__(128) unsigned char shared[];
    const int CHUNKS = D / 8;              // of 16 bytes in a row
    const int ROWS_AT_ONCE = 32 / CHUNKS;  // that a warp copies
    const int KEY_BYTES = UNIT * D * 2;
    const int UNIT_BYTES = 2 * KEY_BYTES;
    const int STEPS = D / 16;
    const int FOURS = D / 4;  // of a result's row

    int warp = threadIdx.x / 32;
    int lane = threadIdx.x % 32;
    int splits = gridDim.z;
    int shift = __ffs(splits) - 1;
    int part = blockIdx.z;
    bool cluster = splits > 1 && !arrived;
    int kvHead = blockIdx.y;
    int row0 = 0;
    if (group > HEADS) {
        int pieces = (group + HEADS - 1) / HEADS;
        kvHead = blockIdx.y / pieces;
        row0 = blockIdx.y % pieces * HEADS;
    }
    int rows = min(group - row0, HEADS);
    int head0 = kvHead * group + row0;

    unsigned base = (unsigned)__cvta_generic_to_shared(shared);
    unsigned own = base + warp * stages * UNIT_BYTES;
    float2* told = (float2*)(shared + WARPS * stages * UNIT_BYTES);  // [WARPS][HEADS] maxima and sums
    float2* theirs = told + WARPS * HEADS;                           // [MOST_CLUSTER][HEADS], of the cluster's blocks
    float4* inbox = (float4*)(theirs + MOST_CLUSTER * HEADS);        // [splits][rows][FOURS / splits]
    unsigned barrier = base + (unsigned)((unsigned char*)(inbox + HEADS * FOURS) - shared);
    int each = FOURS >> shift;  // fours of a row that this block finishes in a cluster
    if (cluster) {
        if (threadIdx.x == 0) {
            expect_bytes(barrier, rows * (FOURS * 16 + splits * 8));
        }
        cluster_arrive();  // nothing is sent before all have come here
    }

    i64 token = queryStart[blockIdx.x];
    int context = contextLengths[blockIdx.x];
    const int* table = slotTable + (i64)tableRows[blockIdx.x] * slotStride;
    int chunk = lane % CHUNKS;
    keys += kvHead * D + chunk * 8;
    values += kvHead * D + chunk * 8;
    // Products of 32-bit factors take one instruction, and code that runs once waits for its own loading.
    int keyStep = keyStride;
    int valueStep = valueStride;
    int positions = (((context + splits - 1) >> shift) + UNIT - 1) / UNIT * UNIT;
    int from = min(context, part * positions);
    int to = min(context, from + positions);
    int units = (to - from + UNIT - 1) / UNIT;
    units = max(0, (units - warp + WARPS - 1) / WARPS);
    from += warp * UNIT;
    // The unit with the newest position; -1 when it is another warp's.
    int newest = context - 1 - from;
    newest = to == context && newest >= 0 && newest / UNIT % WARPS == 0 ? newest / (UNIT * WARPS) : -1;
    int newestSlot = newest >= 0 ? table[context - 1] : 0;

    auto first = [&](int u) { return from + u * WARPS * UNIT; };
    auto find = [&](int u) { return u < units ? table[min(first(u) + lane % UNIT, to - 1)] : 0; };
    // All rows of a unit but the newest; zeros behind the end, whose probability is zero.
    auto load = [&](int u, int slot, unsigned tile) {
#pragma unroll 2
        for (int j = 0; j < UNIT / ROWS_AT_ONCE; j++) {
            int row = j * ROWS_AT_ONCE + lane / CHUNKS;
            i64 at = __shfl_sync(0xffffffffu, slot, row);
            int position = first(u) + row;
            if (position != context - 1) {
                unsigned spotted = tile + spot<2 * D>(row, chunk);
                copy_or_zero(spotted, keys + at * keyStep, position < to);
                copy_or_zero(spotted + KEY_BYTES, values + at * valueStep, position < to);
            }
        }
    };
    auto loadNewest = [&](unsigned tile) {
        int row = (context - 1 - from) % UNIT;
        if (lane < CHUNKS) {
            copy_async(tile + spot<2 * D>(row, chunk), keys + (i64)newestSlot * keyStep);
        } else if (lane < 2 * CHUNKS) {
            copy_async(tile + KEY_BYTES + spot<2 * D>(row, chunk), values + (i64)newestSlot * valueStep);
        }
    };

    int slot = find(0);
#pragma unroll 1
    for (int s = 0; s < STAGES; s++) {
        int next = find(s + 1);
        if (s < units) {
            load(s, slot, own + s * UNIT_BYTES);
        }
        if (s < STAGES - 1) {
            commit();
        }
        slot = next;
    }
    wait_previous();
    if (newest >= 0 && newest < STAGES) {
        loadNewest(own + newest * UNIT_BYTES);
    }
    commit();
    if (units <= STAGES) {
        launch_next();
    }

    // Scores are keys times queries, [positions][heads], results values times weights, [D][heads]: this way round eight heads
    // fill a tile. Lane l has heads l % 4 * 2 and + 1.
    unsigned query[STEPS][2];
    {
        const bf16* from = q + token * qStride + (i64)(head0 + min(lane / 4, rows - 1)) * D + lane % 4 * 2;
#pragma unroll
        for (int k = 0; k < STEPS; k++) {
            query[k][0] = *(const unsigned*)(from + k * 16);
            query[k][1] = *(const unsigned*)(from + k * 16 + 8);
        }
    }
    float result[STEPS][4];
#pragma unroll
    for (int m = 0; m < STEPS; m++) {
        result[m][0] = result[m][1] = result[m][2] = result[m][3] = 0.f;
    }
    float largest[2] = {-infinity(), -infinity()};
    float sum[2] = {0.f, 0.f};
    float factor = scale * 1.44269504f;
    unsigned keyTile = own;
#pragma unroll 1
    for (int u = 0; u < units; u++) {
        if (u == newest) {
            wait<0>();
        } else {
            wait<STAGES - 1>();
        }
        __syncwarp();
        float even[4] = {0.f, 0.f, 0.f, 0.f};
        float odd[4] = {0.f, 0.f, 0.f, 0.f};
#pragma unroll
        for (int k = 0; k < STEPS; k++) {
            unsigned key[4];
            load_matrices(key, keyTile + spot<2 * D>(lane % 16, k * 2 + lane / 16));
            multiply(k % 2 ? odd : even, key, query[k][0], query[k][1]);
        }
        int position = first(u) + lane / 4;
        float score[4];
        float rescale[2];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            score[i] = position + i / 2 * 8 < to ? (even[i] + odd[i]) * factor : -infinity();
        }
        // Every unit has a position inside, which every head sees: the largest is finite.
#pragma unroll
        for (int h = 0; h < 2; h++) {
            float top = fmaxf(score[h], score[2 + h]);
            for (int step = 4; step < 32; step <<= 1) {
                top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, step));
            }
            top = fmaxf(top, largest[h]);
            rescale[h] = power2(largest[h] - top);
            largest[h] = top;
            score[h] = power2(score[h] - top);
            score[2 + h] = power2(score[2 + h] - top);
            sum[h] = sum[h] * rescale[h] + score[h] + score[2 + h];
        }
        unsigned low = transpose(pack(score[0], score[1]));
        unsigned high = transpose(pack(score[2], score[3]));
#pragma unroll
        for (int m = 0; m < STEPS; m++) {
            unsigned value[4];
            load_transposed(value, keyTile + KEY_BYTES + spot<2 * D>(lane % 8 + lane / 16 * 8, m * 2 + lane / 8 % 2));
            result[m][0] *= rescale[0];
            result[m][1] *= rescale[1];
            result[m][2] *= rescale[0];
            result[m][3] *= rescale[1];
            multiply(result[m], value, low, high);
        }
        __syncwarp();
        int next = u + STAGES;
        if (next < units) {
            load(next, slot, keyTile);
            if (next == newest) {
                loadNewest(keyTile);
            }
            slot = find(next + 1);
            if (next == units - 1) {
                launch_next();
            }
        }
        commit();
        keyTile += UNIT_BYTES;
        if (keyTile == own + STAGES * UNIT_BYTES) {
            keyTile = own;
        }
    }
    // The warp's part, [HEADS][D] where its ring began; neighbouring pairs of rows are turned against each other.
    {
        float* mine = (float*)(shared + warp * stages * UNIT_BYTES);
#pragma unroll
        for (int h = 0; h < 2; h++) {
            int row = lane % 4 * 2 + h;
            for (int step = 4; step < 32; step <<= 1) {
                sum[h] += __shfl_xor_sync(0xffffffffu, sum[h], step);
            }
            if (lane < 4) {
                told[warp * HEADS + row] = make_float2(largest[h], sum[h]);
            }
#pragma unroll
            for (int m = 0; m < STEPS; m++) {
                int column = m * 16 + lane / 4;
                mine[row * D + (column ^ (row / 2 * 8))] = result[m][h];
                mine[row * D + (column + 8 ^ (row / 2 * 8))] = result[m][2 + h];
            }
        }
    }
    __syncthreads();
    if (cluster) {
        cluster_wait();
    }
    out += token * outStride + (i64)head0 * D;
#pragma unroll 1
    for (int i = threadIdx.x; i < rows * FOURS; i += WARPS * 32) {
        int row = i / FOURS;
        int four = i % FOURS;
        float best = -infinity();
#pragma unroll
        for (int w = 0; w < WARPS; w++) {
            best = fmaxf(best, told[w * HEADS + row].x);
        }
        float all = 0.f;
        float4 x = make_float4(0.f, 0.f, 0.f, 0.f);
#pragma unroll
        for (int w = 0; w < WARPS; w++) {
            float2 other = told[w * HEADS + row];
            float weight = other.x == -infinity() ? 0.f : power2(other.x - best);
            all += weight * other.y;
            const float* parts = (const float*)(shared + w * stages * UNIT_BYTES);
            add_weighted(x, weight, *(const float4*)(parts + row * D + (four * 4 ^ (row / 2 * 8))));
        }
        if (cluster) {
            unsigned owner = four >> (__ffs(each) - 1);
            unsigned place = base + (unsigned)((unsigned char*)(inbox + (part * rows + row) * each + (four & (each - 1))) - shared);
            send(in_block(place, owner), in_block(barrier, owner), x);
            if (four < splits) {
                unsigned mark = base + (unsigned)((unsigned char*)(theirs + part * HEADS + row) - shared);
                send(in_block(mark, four), in_block(barrier, four), make_float2(best, all));
            }
        } else if (splits == 1) {
            write4(out + i * 4, scaled(x, 1.f / all));
        } else {
            float* to = partial + ((token * kvHeads * group + head0 + row) * splits + part) * (D + 2);
            *(float2*)(to + four * 4) = make_float2(x.x, x.y);
            *(float2*)(to + four * 4 + 2) = make_float2(x.z, x.w);
            if (four == 0) {
                *(float2*)(to + D) = make_float2(best, all);
            }
        }
    }
    if (cluster) {
        wait_bytes(barrier);
#pragma unroll 1
        for (int i = threadIdx.x; i < rows * each; i += WARPS * 32) {
            int row = i >> (__ffs(each) - 1);
            float best = -infinity();
#pragma unroll 4
            for (int s = 0; s < splits; s++) {
                best = fmaxf(best, theirs[s * HEADS + row].x);
            }
            float all = 0.f;
            float4 x = make_float4(0.f, 0.f, 0.f, 0.f);
#pragma unroll 4
            for (int s = 0; s < splits; s++) {
                float2 other = theirs[s * HEADS + row];
                float weight = other.x == -infinity() ? 0.f : power2(other.x - best);
                all += weight * other.y;
                add_weighted(x, weight, inbox[s * rows * each + i]);
            }
            write4(out + row * D + (part * each + (i & (each - 1))) * 4, scaled(x, 1.f / all));
        }
    } else if (splits > 1) {
        join_in_memory<D, WARPS>(partial + (token * kvHeads * group + head0) * splits * (D + 2),
                                 arrived + blockIdx.x * gridDim.y + blockIdx.y, rows, splits, out);
    }
}

#define DECODE(D, WARPS, STAGES, PLACES)                                                                               \
    extern "C" __global__ void __launch_bounds__(WARPS * 32, PLACES) flash_decode_##D##_##WARPS##_##STAGES(            \
        const bf16* q, i64 qs, const bf16* keys, i64 ks, const bf16* values, i64 vs, const int* queryStart,            \
        const int* contextLengths, const int* rows, const int* slotTable, i64 slotStride, float* partial,              \
        int* arrived, bf16* out, i64 os, int kvHeads, int group, float scale, int stages) {                            \
        decode<D, WARPS, STAGES>(q, qs, keys, ks, values, vs, queryStart, contextLengths, rows, slotTable, slotStride, \
                                 partial, arrived, out, os, kvHeads, group, scale, stages);                            \
    }
DECODE(64, 2, 6, 1)
DECODE(64, 4, 4, 3)
DECODE(64, 4, 6, 2)
DECODE(64, 8, 6, 2)
DECODE(128, 2, 3, 1)
DECODE(128, 4, 2, 3)
DECODE(128, 4, 3, 2)
DECODE(128, 8, 3, 2)
