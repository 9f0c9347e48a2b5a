#include "hopper.cuh"
#include "extend_items.cuh"

// Causal attention of new tokens over a paged bf16 cache at Hopper's speed (FlashAttention-3's order of work): heads of 64 or
// 128, and of 192 with values of 128. Query heads that share a key head are rows of one tile: row r of a sequence is token
// r / group, head r % group.
//
// A block stays on its multiprocessor and takes one item after another: 128 rows of a sequence and a key head. The first of
// its three warp groups brings queries, keys and values to shared memory; slots of the cache lie anywhere, so rows are
// copied one by one. The two others own 64 rows each. Both use the same keys and values, in rounds of 128 positions, and
// take turns at the tensor cores: while one multiplies, the other turns scores into weights. Within a group the scores of a
// round are multiplied before the values of the round before, so that products are under way during its own arithmetic, too.
//
// q [T, heads * KD], keys [slots, kvHeads * KD], values [slots, kvHeads * VD], out [T, heads * VD];
// counter: one int, zero between launches, from which blocks draw their next item.

// Sums are multiplied anew only when a score exceeds what weights are relative to by so many powers of two: as exact, and rare.
static const float LAG = 8.f;

// Of a lane's two rows.
struct Softmax {
    float largest[2];  // what weights are relative to, in powers of two: the largest score so far, or at most LAG below
    float sum[2];      // of this lane's weights

    // Scores to weights. Whether sums that were weighed before must be multiplied by these factors, for any row of the warp.
    __device__ __forceinline__ bool weigh(float (&score)[64], float factor, float (&rescale)[2]) {
        // Eight chains each: a warp alone must keep its scheduler busy.
        float m[8];
#pragma unroll
        for (int i = 0; i < 8; i++) {
            m[i] = score[i];
        }
#pragma unroll
        for (int i = 8; i < 64; i++) {
            m[i % 8] = fmaxf(m[i % 8], score[i]);
        }
        float now[2] = {fmaxf(fmaxf(m[0], m[1]), fmaxf(m[4], m[5])), fmaxf(fmaxf(m[2], m[3]), fmaxf(m[6], m[7]))};
#pragma unroll
        for (int step = 1; step < 4; step <<= 1) {
            now[0] = fmaxf(now[0], __shfl_xor_sync(0xffffffffu, now[0], step));
            now[1] = fmaxf(now[1], __shfl_xor_sync(0xffffffffu, now[1], step));
        }
        now[0] *= factor;
        now[1] *= factor;
        bool grown = __any_sync(0xffffffffu, now[0] > largest[0] + LAG || now[1] > largest[1] + LAG);
        if (grown) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                now[half] = fmaxf(now[half], largest[half]);
                rescale[half] = power2(largest[half] - now[half]);
                largest[half] = now[half];
                sum[half] *= rescale[half];
            }
        }
        float all[8] = {0.f, 0.f, 0.f, 0.f, 0.f, 0.f, 0.f, 0.f};
#pragma unroll
        for (int i = 0; i < 64; i++) {
            score[i] = power2(score[i] * factor - largest[i / 2 % 2]);
            all[i % 8] += score[i];
        }
        sum[0] += all[0] + all[1] + (all[4] + all[5]);
        sum[1] += all[2] + all[3] + (all[6] + all[7]);
        return grown;
    }
};

// Weights as the left operand of a product, 16 positions every four registers.
__device__ __forceinline__ void to_operand(const float (&score)[64], unsigned (&weights)[8][4]) {
#pragma unroll
    for (int i = 0; i < 32; i++) {
        weights[i / 4][i % 4] = pack(score[2 * i], score[2 * i + 1]);
    }
}

// Half a lane's rows to memory, weighed. The four lanes of a row exchange what they hold of four times eight columns, so that
// each writes 16 bytes.
template <int N>
__device__ __forceinline__ void write_row(bf16* to, const float (&result)[N], int half, float inverse, bool inside) {
    int lane = threadIdx.x % 4;
    bool odd = lane & 1;
    bool upper = lane & 2;
#pragma unroll
    for (int g = 0; g < N / 16; g++) {
        unsigned w[4];
#pragma unroll
        for (int t = 0; t < 4; t++) {
            const float* x = result + (4 * g + t) * 4 + half * 2;
            w[t] = pack(x[0] * inverse, x[1] * inverse);
        }
        // Tiles 0 and 2 to the even lanes, 1 and 3 to the odd ones; then 0 and 1 to the lower, 2 and 3 to the upper two.
        unsigned a = __shfl_xor_sync(0xffffffffu, odd ? w[0] : w[1], 1);
        unsigned b = __shfl_xor_sync(0xffffffffu, odd ? w[2] : w[3], 1);
        unsigned first[2] = {odd ? a : w[0], odd ? w[1] : a};
        unsigned second[2] = {odd ? b : w[2], odd ? w[3] : b};
        unsigned c = __shfl_xor_sync(0xffffffffu, upper ? first[0] : second[0], 2);
        unsigned d = __shfl_xor_sync(0xffffffffu, upper ? first[1] : second[1], 2);
        if (inside) {
            *(uint4*)(to + (4 * g + lane) * 8) = upper ? make_uint4(c, d, second[0], second[1])
                                                       : make_uint4(first[0], first[1], c, d);
        }
    }
}

template <int KD, int VD>
__device__ __forceinline__ void multiply(const Input& in, const Room<KD, VD>& room, const Item* told) {
    int side = __shfl_sync(0xffffffffu, threadIdx.x / GROUP, 0) - 1;  // the compiler sees that it is a warp's
    int lane = threadIdx.x % 32;
    int group = in.heads / in.kvHeads;
    float factor = in.scale * 1.44269504f;
    if (side == 1) {
        named_arrive(TURN, 2 * GROUP);
    }
    float score[64];
    float result[VD / 2];
    unsigned weights[8][4];
    auto scores = [&](int round) {
        products_fence();
#pragma unroll
        for (int k = 0; k < KD / 16; k++) {
            unsigned at = k / 4 * ROUND * 128 + k % 4 * 32;
            product<0>(score, matrix(room.queries + side * 64 * 128 + at, 1024, 0), matrix(room.key(round) + at, 1024, 0), k);
        }
        products_commit();
    };
    auto weighed = [&](int round) {
        products_fence();
#pragma unroll
        for (int k = 0; k < ROUND / 16; k++) {
            product<1>(result, weights[k], matrix(room.value(round) + k * 16 * 128, 1024, ROUND * 128), 1);
        }
        products_commit();
    };
    auto leave = [&](unsigned barrier) {
        if (lane == 0) {
            barrier_arrive(barrier);
        }
    };
    int round = 0;  // over all items
    for (int n = 0;; n++) {
        barrier_wait(room.query_full(), n & 1);
        Item item = *told;
        if (item.rounds == 0) {
            break;
        }
        int row = item.row0 + side * 64 + threadIdx.x % GROUP / 32 * 16 + lane / 4;
        int last = item.total - 1;
        int visible[2] = {item.before + min(row, last) / group + 1, item.before + min(row + 8, last) / group + 1};
        int seen = item.before + min(item.row0 + side * 64, last) / group + 1;  // by every row of this group
        auto mask = [&](int start) {
            if (start + ROUND > seen) {
#pragma unroll
                for (int i = 0; i < 64; i++) {
                    int position = start + i / 4 * 8 + lane % 4 * 2 + i % 2;
                    score[i] = position < visible[i / 2 % 2] ? score[i] : -infinity();
                }
            }
        };
        Softmax softmax = {{-infinity(), -infinity()}, {0.f, 0.f}};
        float rescale[2];
#pragma unroll
        for (int i = 0; i < VD / 2; i++) {
            result[i] = 0.f;
        }
        barrier_wait(room.key_full(round), room.key_parity(round));
        fence_async();
        scores(round);
        products_wait<0>();
        pin(score);
        leave(room.key_empty(round));
        mask(0);
        softmax.weigh(score, factor, rescale);
        to_operand(score, weights);
        for (int r = 1; r < item.rounds; r++) {
            barrier_wait(room.key_full(round + 1), room.key_parity(round + 1));
            fence_async();
            pin(score);
            pin(result);
            pin(weights);
            named_barrier(TURN + side, 2 * GROUP);
            scores(round + 1);
            barrier_wait(room.value_full(round), room.value_parity(round));
            fence_async();
            weighed(round);
            named_arrive(TURN + 1 - side, 2 * GROUP);
            products_wait<1>();
            pin(score);
            leave(room.key_empty(round + 1));
            mask(r * ROUND);
            // Always so; but without a branch the compiler puts the wait before the arithmetic that should run beside it.
            bool grown = false;
            if (in.heads > 0) {
                grown = softmax.weigh(score, factor, rescale);
            }
            pin(score);
            pin(softmax.sum);
            products_wait<0>();
            pin(result);
            leave(room.value_empty(round));
            round++;
            to_operand(score, weights);
            if (grown) {
#pragma unroll
                for (int i = 0; i < VD / 2; i++) {
                    result[i] *= rescale[i / 2 % 2];
                }
            }
        }
        leave(room.query_empty());
        barrier_wait(room.value_full(round), room.value_parity(round));
        fence_async();
        pin(result);
        pin(weights);
        weighed(round);
        for (int half = 0; half < 2; half++) {
            softmax.sum[half] += __shfl_xor_sync(0xffffffffu, softmax.sum[half], 1);
            softmax.sum[half] += __shfl_xor_sync(0xffffffffu, softmax.sum[half], 2);
        }
        products_wait<0>();
        pin(result);
        leave(room.value_empty(round));
        round++;
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int own = row + half * 8;
            bf16* to = in.out + (item.firstToken + min(own, last) / group) * in.outStride +
                       (i64)(item.kvHead * group + min(own, last) % group) * VD;
            write_row(to, result, half, 1.f / softmax.sum[half], own <= last);
        }
    }
    if (side == 0) {
        named_barrier(TURN, 2 * GROUP);  // the other group's last word
    }
}

template <int KD, int VD> __device__ __forceinline__ void flash_hopper(const Input& in) {
    extern __shared__ __align__(1024) unsigned char shared[];
    __shared__ __align__(8) u64 barriers[2 + 2 * Sizes<KD, VD>::KEY_STAGES + 2 * Sizes<KD, VD>::VALUE_STAGES];
    __shared__ Item told;
    unsigned base = (shared_address(shared) + 1023) / 1024 * 1024;
    typedef Sizes<KD, VD> S;
    Room<KD, VD> room = {base, base + S::QUERY_BYTES, base + S::QUERY_BYTES + S::KEY_STAGES * S::KEY_BYTES,
                         shared_address(barriers)};
    if (threadIdx.x == 0) {
        for (int s = 0; s < S::KEY_STAGES; s++) {
            barrier_init(room.key_full(s), GROUP);
            barrier_init(room.key_empty(s), WARPS);
        }
        for (int s = 0; s < S::VALUE_STAGES; s++) {
            barrier_init(room.value_full(s), GROUP);
            barrier_init(room.value_empty(s), WARPS);
        }
        barrier_init(room.query_full(), GROUP + 1);
        barrier_init(room.query_empty(), WARPS);
        barrier_init_done();
    }
    __syncthreads();
    enter();
    if (threadIdx.x < GROUP) {
        registers_less<72>();
        bring(in, room, &told);
    } else {
        registers_more<216>();
        multiply(in, room, &told);
    }
}

#define FLASH_HOPPER(NAME, KD, VD)                                                                                     \
    extern "C" __global__ void __launch_bounds__(384, 1) NAME(                                                        \
        const bf16* q, i64 qs, const bf16* keys, i64 ks, const bf16* values, i64 vs, const int* queryStart,            \
        const int* contextLengths, const int* rows, const int* slotTable, i64 slotStride, int* counter, bf16* out,     \
        i64 os, int sequences, int heads, int kvHeads, float scale) {                                                  \
        Input in = {q,  qs, keys, ks, values, vs, queryStart, contextLengths, rows, slotTable, slotStride, counter,    \
                    out, os, sequences, heads, kvHeads, scale};                                                        \
        flash_hopper<KD, VD>(in);                                                                                     \
    }
FLASH_HOPPER(flash_hopper_64, 64, 64)
FLASH_HOPPER(flash_hopper_128, 128, 128)
FLASH_HOPPER(flash_hopper_192, 192, 128)
