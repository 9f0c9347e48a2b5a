#include "hopper.cuh"
#include "wide.cuh"
// silu(x gate^T) * (x up^T) of a decode step of 17 to 256 tokens, at the speed at which the weights can be read: a block has one
// tile with all tokens (wide.cuh), and there are as many blocks as multiprocessors or a few less.

struct Input {
    int k;
    int tokens;
};

// The loading thread.
template <class S>
__device__ __forceinline__ void load_all(const TensorMap& x, const TensorMap& w, const Input& in, const Ring& ring) {
    load_stages<S>(
        (in.k + DEPTH - 1) / DEPTH, ring,
        [&](int s, int step) {
            load_3d(ring.stages + s * S::STAGE + S::X_BYTES, w, ring.full + s * 8, step * DEPTH, 0,
                    blockIdx.x * (S::N / 2), READ_ONCE);
        },
        [&](int s, int step) {
            load_2d(ring.stages + s * S::STAGE, x, ring.full + s * 8, step * DEPTH, 0, READ_AGAIN);
        });
}

// out[t, p] = silu(gate row p) * up row p, one block a tile. Columns are gate and up of the tile's pairs. Results go through
// the ring's memory, which nobody uses any more, to memory in whole rows.
struct Gated {
    bf16* out;
    i64 stride;
    int columns;
    int unused;

    template <class S>
    __device__ __forceinline__ void finish(float (&acc)[S::MT][S::N / 2], const Input& in, int tile, unsigned char* shared) const {
        static const int PAIRS = S::N / 2;
        bf16* parts = (bf16*)shared;  // [TOKENS][PAIRS]
        int lane = threadIdx.x % 32;
        int first = threadIdx.x / 128 * S::MT * 64 + threadIdx.x / 32 % 4 * 16 + lane / 4;
        named_barrier(1, S::GROUPS * 128);
#pragma unroll
        for (int m = 0; m < S::MT; m++) {
            int t = first + m * 64;
#pragma unroll
            for (int j = 0; j < S::N / 8; j++) {
                float2 two = gated(acc[m][4 * j], acc[m][4 * j + 1], acc[m][4 * j + 2], acc[m][4 * j + 3]);
                parts[t * PAIRS + 4 * j + lane % 4] = narrow<bf16>(two.x);
                parts[(t + 8) * PAIRS + 4 * j + lane % 4] = narrow<bf16>(two.y);
            }
        }
        named_barrier(1, S::GROUPS * 128);
        for (int i = threadIdx.x; i < in.tokens * (PAIRS / 4); i += S::GROUPS * 128) {
            int column = tile * PAIRS + i % (PAIRS / 4) * 4;
            if (column < columns) {
                *(uint2*)(out + i / (PAIRS / 4) * stride + column) = ((const uint2*)parts)[i];
            }
        }
    }
};

template <class S>
__device__ __forceinline__ void wide(const TensorMap& x, const TensorMap& w, const Input& in, const Gated& to) {
    extern __shared__ __align__(1024) unsigned char shared[];
    __shared__ __align__(8) u64 barriers[2 * S::STAGES];
    Ring ring = open_ring<S>(shared, barriers);
    if (threadIdx.x / 128 == S::GROUPS) {
        if (S::UNEVEN) {
            registers_less<40>();
        }
        if (threadIdx.x == S::GROUPS * 128) {
            load_all<S>(x, w, in, ring);
        }
    } else {
        if (S::UNEVEN) {
            registers_more<232>();
        }
        wait_previous();
        float acc[S::MT][S::N / 2];
        int at = 0;
        // Once. Without a loop around them the compiler gives the sums only as many registers as a thread begins with.
        for (int round = 0; round < gridDim.z; round++) {
            multiply_stages<S>(acc, (in.k + DEPTH - 1) / DEPTH, at, ring);
            to.finish<S>(acc, in, blockIdx.x, shared);
        }
    }
}

// BOUND says how many registers a thread gets, 65,536 / BOUND: fewer than a block could have, so that it fits beside blocks of
// the norm before it (256 threads of 64), and its weights are on their way meanwhile.
#define GATED(NAME, N, MT, GROUPS, STAGES, BOUND)                                                                      \
    extern "C" __global__ void __launch_bounds__(BOUND, 1)                                                             \
        gated_##NAME(const __grid_constant__ TensorMap x, const __grid_constant__ TensorMap w,                         \
                     const __grid_constant__ Input in, const __grid_constant__ Gated to) {                             \
        wide<Wide<N, MT, GROUPS, STAGES>>(x, w, in, to);                                                               \
    }
GATED(64_168, 168, 1, 1, 7, 384)
GATED(128_168, 168, 1, 2, 6, 512)
GATED(256_168, 168, 2, 2, 4, 384)
GATED(64_224, 224, 1, 1, 6, 384)
GATED(128_224, 224, 1, 2, 5, 384)
