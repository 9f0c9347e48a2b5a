#include "hopper.cuh"
#include "wide.cuh"
// Products of many tokens with what follows them: blocks go through many tiles (wide.cuh), and the loads of the next one run
// while the results of one are written. The order of columns is such that a thread has eight results in a row: 16 bytes.

struct Tiles {
    int k;
    int tokens;
    int tokenTiles;
    int rowTiles;
    int group;  // token tiles that are gone through together, for the L2 cache's sake
    int unused;
};

// Where this block's tile number `round` lies; false behind the last one.
template <class S> __device__ __forceinline__ bool place(const Tiles& all, int round, int& tokenTile, int& rowTile) {
    int tile = blockIdx.x + round * gridDim.x;
    if (tile >= all.tokenTiles * all.rowTiles) {
        return false;
    }
    int first = tile / (all.group * all.rowTiles) * all.group;
    int together = min(all.group, all.tokenTiles - first);
    int rest = tile - first * all.rowTiles;
    tokenTile = first + rest % together;
    rowTile = rest / together;
    return true;
}

// The loading thread.
template <class S>
__device__ __forceinline__ void load_tiles(const TensorMap& x, const TensorMap& w, const Tiles& all, const Ring& ring) {
    int steps = (all.k + DEPTH - 1) / DEPTH;
    int tokenTile, rowTile;
    int at = 0;
    for (int round = 0; place<S>(all, round, tokenTile, rowTile); round++) {
        for (int step = 0; step < steps; step++, at++) {
            int s = at % S::STAGES;
            if (at >= S::STAGES) {
                barrier_wait(ring.empty + s * 8, at / S::STAGES - 1 & 1);
            }
            barrier_expect(ring.full + s * 8, S::STAGE);
            unsigned to = ring.stages + s * S::STAGE;
            load_2d(to, x, ring.full + s * 8, step * DEPTH, tokenTile * S::TOKENS, READ_AGAIN);
            load_5d(to + S::X_BYTES, w, ring.full + s * 8, step * DEPTH, 0, 0, 0, rowTile * (S::N / 64), READ_AGAIN);
        }
    }
}

// out[t, p] = silu(gate row p) * up row p. Of 64 columns a thread of four has the eight pairs that begin at its number times
// eight.
struct Gated {
    bf16* out;
    i64 stride;
    int columns;
    int unused;

    template <class S>
    __device__ __forceinline__ void finish(const float (&acc)[S::N / 2], int t, int i, int rowTile) const {
#pragma unroll
        for (int block = 0; block < S::N / 64; block++) {
            int column = rowTile * (S::N / 2) + block * 32 + threadIdx.x % 4 * 8;
            float v[8];
#pragma unroll
            for (int j = 0; j < 8; j += 2) {
                int at = 4 * (8 * block + j) + 2 * i;
                float2 two = gated(acc[at], acc[at + 1], acc[at + 4], acc[at + 5]);
                v[j] = two.x;
                v[j + 1] = two.y;
            }
            if (column < columns) {
                write8(out + t * stride + column, v);
            }
        }
    }
};

template <class S>
__device__ __forceinline__ void finish_tile(const float (&acc)[S::MT][S::N / 2], const Tiles& all, const Gated& to,
                                            int tokenTile, int rowTile) {
    int first = tokenTile * S::TOKENS + threadIdx.x / 128 * S::MT * 64 + threadIdx.x / 32 % 4 * 16 + threadIdx.x % 32 / 4;
#pragma unroll
    for (int m = 0; m < S::MT; m++) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            int t = first + m * 64 + i * 8;
            if (t < all.tokens) {
                to.finish<S>(acc[m], t, i, rowTile);
            }
        }
    }
}

// Tiles of 128 tokens by 256 rows.
typedef Wide<256, 1, 2, 4> Size;

extern "C" __global__ void __launch_bounds__(384, 1)
    gated_tiles(const __grid_constant__ TensorMap x, const __grid_constant__ TensorMap w, const __grid_constant__ Tiles all,
                const __grid_constant__ Gated to) {
    extern __shared__ __align__(1024) unsigned char shared[];
    __shared__ __align__(8) u64 barriers[2 * Size::STAGES];
    Ring ring = open_ring<Size>(shared, barriers);
    enter();
    if (threadIdx.x / 128 == Size::GROUPS) {
        registers_less<40>();
        if (threadIdx.x == Size::GROUPS * 128) {
            load_tiles<Size>(x, w, all, ring);
        }
    } else {
        registers_more<232>();
        float acc[Size::MT][Size::N / 2];
        int at = 0;
        int tokenTile, rowTile;
        for (int round = 0; place<Size>(all, round, tokenTile, rowTile); round++) {
            multiply_stages<Size>(acc, (all.k + DEPTH - 1) / DEPTH, at, ring);
            finish_tile<Size>(acc, all, to, tokenTile, rowTile);
        }
    }
}
