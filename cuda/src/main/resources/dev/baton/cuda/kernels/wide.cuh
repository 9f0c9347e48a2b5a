// What the products of warp groups share (wide.cu, tiles.cu): y[t, n] = sum over k of x[t, k] * w[n, k] of TOKENS tokens by N
// rows of w. One warp group loads a ring of STAGES stages of 64 k (TMA), GROUPS others multiply (wgmma, tokens as the rows of
// a, rows of w as the columns of b): group g takes tokens [64 MT g, 64 MT (g + 1)).
//
// Thread t of a group holds columns 8j + t % 4 * 2 and the next one of its tokens. Which rows of w these are is up to the
// tensor map: its dimensions behind k walk the matrix in the order in which the epilogue wants it, so that rows that belong
// together, gate and up or the halves of a head, are neighbours and lie in one thread.

static const int DEPTH = 64;  // k of a stage: 128 bytes of a row

template <int N_, int MT_, int GROUPS_, int STAGES_> struct Wide {
    static const int N = N_;
    static const int MT = MT_;
    static const int GROUPS = GROUPS_;
    static const int STAGES = STAGES_;
    static const int TOKENS = 64 * MT * GROUPS;
    static const int X_BYTES = TOKENS * 128;
    static const int W_BYTES = N * 128;
    static const int STAGE = X_BYTES + W_BYTES;
    // Whether a thread's sums need more registers than it gets when all have the same number.
    static const bool UNEVEN = MT * N / 2 > 112 && GROUPS > 1;
};

// The ring and its barriers, by their shared addresses.
struct Ring {
    unsigned stages;
    unsigned full;
    unsigned empty;
};

// By all threads of a block; `barriers` has two for each stage.
template <class S> __device__ __forceinline__ Ring open_ring(unsigned char* shared, u64* barriers) {
    Ring ring = {shared_address(shared), shared_address(barriers), shared_address(barriers) + S::STAGES * 8};
    if (threadIdx.x == 0) {
        for (int s = 0; s < S::STAGES; s++) {
            barrier_init(ring.full + s * 8, 1);
            barrier_init(ring.empty + s * 8, S::GROUPS * 4);
        }
        barrier_init_done();
    }
    __syncthreads();
    return ring;
}

// The loading thread's way through `steps` stages of a block that has one tile; loadW(s, step) and loadX(s, step) ask for
// what place s of the ring gets. The first weights do not wait for the kernel before: they are never written.
template <class S, class W, class X>
__device__ __forceinline__ void load_stages(int steps, const Ring& ring, W loadW, X loadX) {
    int early = min(steps, S::STAGES);
    for (int s = 0; s < early; s++) {
        barrier_expect(ring.full + s * 8, S::STAGE);
        loadW(s, s);
    }
    wait_previous();
    for (int s = 0; s < early; s++) {
        loadX(s, s);
    }
    for (int step = early; step < steps; step++) {
        int s = step % S::STAGES;
        barrier_wait(ring.empty + s * 8, step / S::STAGES - 1 & 1);
        barrier_expect(ring.full + s * 8, S::STAGE);
        loadW(s, step);
        loadX(s, step);
    }
    launch_next();
}

template <int MT, int SIZE> __device__ __forceinline__ void clear(float (&acc)[MT][SIZE]) {
#pragma unroll
    for (int m = 0; m < MT; m++) {
#pragma unroll
        for (int i = 0; i < SIZE; i++) {
            acc[m][i] = 0.f;
        }
        pin(acc[m]);  // or the zeros are made between products, which then wait for each other
    }
}

// A group's sums of `steps` stages. `at` counts the stages since the ring was opened.
template <class S>
__device__ __forceinline__ void multiply_stages(float (&acc)[S::MT][S::N / 2], int steps, int& at, const Ring& ring) {
    int group = threadIdx.x / 128;
    auto release = [&](int s) {
        if (threadIdx.x % 32 == 0) {
            barrier_arrive(ring.empty + s * 8);
        }
    };
    clear(acc);
#pragma unroll 1
    for (int step = 0; step < steps; step++, at++) {
        int s = at % S::STAGES;
        barrier_wait(ring.full + s * 8, at / S::STAGES & 1);
        u64 a = matrix(ring.stages + s * S::STAGE + group * S::MT * 8192, 1024, 0);
        u64 b = matrix(ring.stages + s * S::STAGE + S::X_BYTES, 1024, 0);
        products_fence();
#pragma unroll
        for (int kk = 0; kk < DEPTH / 16; kk++) {
#pragma unroll
            for (int m = 0; m < S::MT; m++) {
                product<0>(acc[m], further(a, m * 8192 + kk * 32), further(b, kk * 32), 1);
            }
        }
        products_commit();
        if (step > 0) {
            products_wait<1>();
            release((at - 1) % S::STAGES);
        }
    }
    products_wait<0>();
    release((at - 1) % S::STAGES);
#pragma unroll
    for (int m = 0; m < S::MT; m++) {
        pin(acc[m]);
    }
}

// silu(gate) * up twice, exact to a few units of the last place. One reciprocal serves both: these units are few. Gates below -40
// count as e^-40 of themselves.
__device__ __forceinline__ float2 gated(float gate0, float up0, float gate1, float up1) {
    float a = 1.f + __expf(fminf(-gate0, 40.f));
    float b = 1.f + __expf(fminf(-gate1, 40.f));
    float both = __fdividef(1.f, a * b);
    return make_float2(gate0 * up0 * (b * both), gate1 * up1 * (a * both));
}
