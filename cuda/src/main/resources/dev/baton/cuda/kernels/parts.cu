#include "hopper.cuh"
#include "wide.cuh"
// Products of a decode step of 17 to 256 tokens whose k is divided among blocks, in two kernels. The first leaves what each
// slice of k adds, parts[slice][token][row] in F32, in memory (it stays in the L2 cache); the second, which is there anyway,
// sums the slices in their order and does what follows: residual and norm, or rotation and cache write.
//
// The first is a product of warp groups (wide.cuh) with rows of w as the rows of a, 64 a group, and tokens as the columns of
// b. A block has one tile of rows, all tokens and one slice, and there are about as many blocks as multiprocessors. Its ring
// is as deep as its slice, up to MOST_RING bytes. The first weights do not wait for the kernel before: they are never
// written, so where slices are short they are there when x is.

static const int MOST_RING = 200 << 10;

template <int N, int GROUPS> struct Ringed {
    static const int STAGE = GROUPS * 64 * 128 + N * 128;
    static const int DEEP = MOST_RING / STAGE;
    typedef Wide<N, 1, GROUPS, (DEEP < 16 ? DEEP : 16)> Tile;
};

struct Parts {
    float* parts;  // [slices][tokens][n]
    int n;
    int k;
    int tokens;
    int unused;
};

// The loading thread: `steps` stages from stage `first` of k on.
template <class S>
__device__ __forceinline__ void load_slice(const TensorMap& w, const TensorMap& x, int first, int steps, const Ring& ring) {
    load_stages<S>(
        steps, ring,
        [&](int s, int step) {
            load_2d(ring.stages + s * S::STAGE, w, ring.full + s * 8, (first + step) * DEPTH, blockIdx.x * S::TOKENS,
                    READ_ONCE);
        },
        [&](int s, int step) {
            load_2d(ring.stages + s * S::STAGE + S::X_BYTES, x, ring.full + s * 8, (first + step) * DEPTH, 0, READ_AGAIN);
        });
}

// Block (tile of rows, slice of k). What wide.cuh calls tokens are rows of w here.
template <class S>
__device__ __forceinline__ void multiply_slice(const TensorMap& w, const TensorMap& x, const Parts& to) {
    extern __shared__ __align__(1024) unsigned char shared[];
    __shared__ __align__(8) u64 barriers[2 * S::STAGES];
    Ring ring = open_ring<S>(shared, barriers);
    int all = (to.k + DEPTH - 1) / DEPTH;
    int slice = blockIdx.y;
    int first = all * slice / gridDim.y;
    int steps = all * (slice + 1) / gridDim.y - first;
    if (threadIdx.x >= S::GROUPS * 128) {
        if (threadIdx.x == S::GROUPS * 128) {
            load_slice<S>(w, x, first, steps, ring);
        }
        return;
    }
    wait_previous();
    float acc[1][S::N / 2];
    int at = 0;
    multiply_stages<S>(acc, steps, at, ring);
    // Eight lanes have neighbouring rows of one token: whole sectors of 32 bytes.
    int lane = threadIdx.x % 32;
    int row = blockIdx.x * S::TOKENS + threadIdx.x / 32 * 16 + lane / 4;
    int t = lane % 4 * 2;
    float* p = to.parts + ((i64)slice * to.tokens + t) * to.n + row;
    bool low = row < to.n;
    bool high = row + 8 < to.n;
#pragma unroll
    for (int j = 0; j < S::N / 8; j++) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            if (t + j * 8 + i < to.tokens) {
                float* own = p + (i64)(j * 8 + i) * to.n;
                if (low) {
                    own[0] = acc[0][4 * j + i];
                }
                if (high) {
                    own[8] = acc[0][4 * j + 2 + i];
                }
            }
        }
    }
}

#define PARTS(N, GROUPS)                                                                                               \
    extern "C" __global__ void __launch_bounds__(GROUPS * 128 + 32)                                                    \
        parts_##N##_##GROUPS(const __grid_constant__ TensorMap w, const __grid_constant__ TensorMap x,                 \
                             const __grid_constant__ Parts to) {                                                       \
        multiply_slice<Ringed<N, GROUPS>::Tile>(w, x, to);                                                             \
    }
PARTS(32, 1)
PARTS(32, 2)
PARTS(32, 3)
PARTS(64, 1)
PARTS(64, 2)
PARTS(64, 3)
PARTS(128, 1)
PARTS(128, 2)
PARTS(128, 3)
PARTS(256, 1)
PARTS(256, 2)

__device__ __forceinline__ float4 plus(float4 a, float4 b) {
    return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}

// sums[i] += four neighbours of each of COUNT slices from parts + offsets[i] on, slice by slice, all loads under way at once.
template <int PIECES, int COUNT>
__device__ __forceinline__ void add_slices(float4 (&sums)[PIECES], const float* parts, const int (&offsets)[PIECES],
                                           i64 distance) {
    float4 v[COUNT][PIECES];
#pragma unroll
    for (int s = 0; s < COUNT; s++) {
#pragma unroll
        for (int i = 0; i < PIECES; i++) {
            const float* from = parts + s * distance + offsets[i];
            asm volatile("ld.global.cg.v4.f32 {%0, %1, %2, %3}, [%4];"
                         : "=f"(v[s][i].x), "=f"(v[s][i].y), "=f"(v[s][i].z), "=f"(v[s][i].w)
                         : "l"(from)
                         : "memory");
        }
    }
#pragma unroll
    for (int s = 0; s < COUNT; s++) {
#pragma unroll
        for (int i = 0; i < PIECES; i++) {
            sums[i] = plus(sums[i], v[s][i]);
        }
    }
}

// The same of any number of slices, at most 8 / PIECES at once.
template <int PIECES>
__device__ __forceinline__ void sum_slices(float4 (&sums)[PIECES], const float* parts, const int (&offsets)[PIECES],
                                           i64 distance, int slices) {
    static const int MOST = 8 / PIECES;
    for (; slices > MOST; slices -= MOST, parts += MOST * distance) {
        add_slices<PIECES, MOST>(sums, parts, offsets, distance);
    }
    switch (slices) {
#define SLICES(COUNT)                                                                                                  \
    case COUNT:                                                                                                        \
        add_slices<PIECES, (COUNT < MOST ? COUNT : MOST)>(sums, parts, offsets, distance);                             \
        break;
        SLICES(1)
        SLICES(2)
        SLICES(3)
        SLICES(4)
        SLICES(5)
        SLICES(6)
        SLICES(7)
        SLICES(8)
    }
}

__device__ __forceinline__ uint2 packed(float4 v) { return make_uint2(pack(v.x, v.y), pack(v.z, v.w)); }

struct Sums {
    const float* parts;  // [slices][tokens][n]
    i64 distance;        // tokens * n
    const float* bias;   // [n] or null
    int slices;
    int n;
};

// residual += sums + bias; out = norm(residual). A block a token, PIECES times four elements a thread. The stream was written
// at least two kernels ago. 256 threads of 64 registers leave room for a block of the next product (wide.cu), whose weights
// are then on their way.
template <int PIECES>
__device__ __forceinline__ void sum_norm(const Sums& in, float* residual, const float* norm, bf16* out, float epsilon) {
    float4 sums[PIECES];
    int offsets[PIECES];
    int inside = 0;
#pragma unroll
    for (int i = 0; i < PIECES; i++) {
        int at = (i * blockDim.x + threadIdx.x) * 4;
        inside += at < in.n;
        at = min(at, in.n - 4);
        asm volatile("prefetch.global.L2 [%0];" ::"l"(norm + at));
        offsets[i] = at;
        sums[i] = *(const float4*)(residual + at);
        if (in.bias) {
            sums[i] = plus(sums[i], *(const float4*)(in.bias + at));
        }
    }
    enter();
    sum_slices<PIECES>(sums, in.parts + (i64)blockIdx.x * in.n, offsets, in.distance, in.slices);
    float4 weights[PIECES];
    float squares = 0.f;
#pragma unroll
    for (int i = 0; i < PIECES; i++) {
        if (i < inside) {
            int at = (i * blockDim.x + threadIdx.x) * 4;
            float4 v = sums[i];
            squares += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
            *(float4*)(residual + at) = v;
            weights[i] = *(const float4*)(norm + at);
        }
    }
    float factor = rsqrtf(block_sum(squares) / in.n + epsilon);
#pragma unroll
    for (int i = 0; i < PIECES; i++) {
        if (i < inside) {
            float4 v = make_float4(sums[i].x * factor * weights[i].x, sums[i].y * factor * weights[i].y,
                                   sums[i].z * factor * weights[i].z, sums[i].w * factor * weights[i].w);
            *(uint2*)(out + (i * blockDim.x + threadIdx.x) * 4) = packed(v);
        }
    }
}

#define SUM_NORM(PIECES)                                                                                               \
    extern "C" __global__ void __launch_bounds__(1024, 1)                                                              \
        sum_norm_##PIECES(Sums in, float* residual, i64 residualStride, const float* norm, bf16* out, i64 outStride,   \
                          float epsilon) {                                                                             \
        sum_norm<PIECES>(in, residual + blockIdx.x * residualStride, norm, out + blockIdx.x * outStride, epsilon);     \
    }
SUM_NORM(1)
SUM_NORM(2)
SUM_NORM(4)

// Rows of w are query heads, key heads, value heads: queries and keys are rotated, keys and values go to their slots. A thread
// has four neighbouring pairs (i, i + half) of a head, gridDim.x blocks share token blockIdx.y.
struct Heads {
    bf16* q;
    i64 qStride;
    bf16* keys;
    i64 keyStride;
    bf16* values;
    i64 valueStride;
    const int* positions;
    const int* slots;
    const float* table;  // [position][2 half]: cos, then sin
    int queryRows;
    int keyRows;
    int half;
};

extern "C" __global__ void __launch_bounds__(128, 2) sum_heads(Sums in, Heads to) {
    int t = blockIdx.y;
    int pair = (blockIdx.x * blockDim.x + threadIdx.x) * 4;
    int i = pair % to.half;
    int row = pair / to.half * 2 * to.half + i;
    bool inside = row < in.n;
    float4 sums[2] = {make_float4(0.f, 0.f, 0.f, 0.f), make_float4(0.f, 0.f, 0.f, 0.f)};
    if (inside && in.bias) {
        sums[0] = *(const float4*)(in.bias + row);
        sums[1] = *(const float4*)(in.bias + row + to.half);
    }
    const float* turn = to.table + (i64)to.positions[t] * 2 * to.half + i;
    float4 c = *(const float4*)turn;
    float4 s = *(const float4*)(turn + to.half);
    i64 slot = to.slots[t];
    enter();
    if (!inside) {
        return;
    }
    int offsets[2] = {row, row + to.half};
    sum_slices<2>(sums, in.parts + (i64)t * in.n, offsets, in.distance, in.slices);
    float4 a = sums[0];
    float4 b = sums[1];
    if (row < to.queryRows + to.keyRows) {
        sums[0] = make_float4(a.x * c.x - b.x * s.x, a.y * c.y - b.y * s.y, a.z * c.z - b.z * s.z, a.w * c.w - b.w * s.w);
        sums[1] = make_float4(b.x * c.x + a.x * s.x, b.y * c.y + a.y * s.y, b.z * c.z + a.z * s.z, b.w * c.w + a.w * s.w);
    }
    bf16* own = row < to.queryRows           ? to.q + t * to.qStride + row
        : row < to.queryRows + to.keyRows    ? to.keys + slot * to.keyStride + row - to.queryRows
                                             : to.values + slot * to.valueStride + row - to.queryRows - to.keyRows;
    *(uint2*)own = packed(sums[0]);
    *(uint2*)(own + to.half) = packed(sums[1]);
}
