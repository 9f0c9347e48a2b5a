// Shared by every kernel source. Compiled by NVRTC without any header.
// Activations and caches are float or bf16; sums are float.

typedef long long i64;

struct bf16 {
    unsigned short bits;
};

// IEEE half, as some checkpoints store weights.
struct f16 {
    unsigned short bits;
};

__device__ __forceinline__ float widen(float x) { return x; }
__device__ __forceinline__ float widen(f16 x) {
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
}
__device__ __forceinline__ float widen(bf16 x) { return __uint_as_float((unsigned)x.bits << 16); }

template <class T> __device__ __forceinline__ T narrow(float x);
template <> __device__ __forceinline__ float narrow<float>(float x) { return x; }
template <> __device__ __forceinline__ bf16 narrow<bf16>(float x) {
    bf16 y;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
}

// Kernels are launched before the ones that they follow have ended (programmatic dependent launch), so every kernel waits
// before it reads or writes what another kernel may touch; weights alone may be read earlier. Only behind its own wait a
// kernel lets the next one start: what was written two kernels ago is therefore always there. A kernel that keeps the memory
// busy does so when it has asked for everything: what the next one reads early then fills the time in which sums are
// finished and one kernel hands over to the next, and takes no bandwidth before.
__device__ __forceinline__ void wait_previous() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

__device__ __forceinline__ void launch_next() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// How a kernel begins that reads nothing early.
__device__ __forceinline__ void enter() {
    wait_previous();
    launch_next();
}

__device__ __forceinline__ float infinity() { return __int_as_float(0x7f800000); }

__device__ __forceinline__ float warp_sum(float x) {
    for (int step = 16; step > 0; step >>= 1) {
        x += __shfl_xor_sync(0xffffffffu, x, step);
    }
    return x;
}

__device__ __forceinline__ float warp_max(float x) {
    for (int step = 16; step > 0; step >>= 1) {
        x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, step));
    }
    return x;
}

// Sum over a block of at most 1024 threads; every thread gets it. Ends with a barrier.
__device__ __forceinline__ float block_sum(float x) {
    __shared__ float parts[32];
    x = warp_sum(x);
    int warps = (blockDim.x + 31) / 32;
    if (threadIdx.x % 32 == 0) {
        parts[threadIdx.x / 32] = x;
    }
    __syncthreads();
    float y = threadIdx.x % 32 < warps ? parts[threadIdx.x % 32] : 0.f;
    y = warp_sum(y);
    __syncthreads();
    return y;
}

// Largest of a block of at most 1024 threads; every thread gets it. Ends with a barrier.
__device__ __forceinline__ unsigned long long block_max(unsigned long long x) {
    __shared__ unsigned long long parts[32];
    for (int step = 16; step > 0; step >>= 1) {
        x = max(x, __shfl_xor_sync(0xffffffffu, x, step));
    }
    if (threadIdx.x % 32 == 0) {
        parts[threadIdx.x / 32] = x;
    }
    __syncthreads();
    x = threadIdx.x % 32 < (blockDim.x + 31) / 32 ? parts[threadIdx.x % 32] : 0;
    for (int step = 16; step > 0; step >>= 1) {
        x = max(x, __shfl_xor_sync(0xffffffffu, x, step));
    }
    __syncthreads();
    return x;
}

__device__ __forceinline__ float silu(float x) { return x / (1.f + __expf(-x)); }

// Eight elements of a row that begins on a 16-byte boundary.
__device__ __forceinline__ void read8(float (&v)[8], const bf16* p) {
    uint4 raw = *(const uint4*)p;
    const unsigned words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        v[2 * i] = __uint_as_float(words[i] << 16);
        v[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
    }
}

__device__ __forceinline__ void read8(float (&v)[8], const float* p) {
    float4 a = *(const float4*)p;
    float4 b = *(const float4*)(p + 4);
    v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w;
    v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
}

__device__ __forceinline__ void write8(bf16* p, const float (&v)[8]) {
    unsigned words[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(words[i]) : "f"(v[2 * i + 1]), "f"(v[2 * i]));
    }
    *(uint4*)p = make_uint4(words[0], words[1], words[2], words[3]);
}

__device__ __forceinline__ void write8(float* p, const float (&v)[8]) {
    *(float4*)p = make_float4(v[0], v[1], v[2], v[3]);
    *(float4*)(p + 4) = make_float4(v[4], v[5], v[6], v[7]);
}

// Tensor cores, and copies to shared memory that run beside the arithmetic (PTX ISA, mma, ldmatrix, cp.async).
__device__ __forceinline__ void multiply(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ void load_matrices(unsigned (&r)[4], unsigned address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address));
}

__device__ __forceinline__ void load_transposed(unsigned (&r)[4], unsigned address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address));
}

__device__ __forceinline__ void copy_async(unsigned shared, const void* global) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;\n" ::"r"(shared), "l"(global));
}

// Sixteen bytes to shared memory, zeros when not `inside`.
__device__ __forceinline__ void copy_or_zero(unsigned shared, const void* global, bool inside) {
    int bytes = inside ? 16 : 0;
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;\n" ::"r"(shared), "l"(global), "r"(bytes));
}

__device__ __forceinline__ void commit() { asm volatile("cp.async.commit_group;\n"); }

template <int PENDING> __device__ __forceinline__ void wait() {
    asm volatile("cp.async.wait_group %0;\n" ::"n"(PENDING));
}

// Byte offset of a 16-byte chunk in a tile of rows of BYTES, a multiple of 128: neighbouring rows are turned against each
// other, so that eight rows of one column lie in different banks.
template <int BYTES> __device__ __forceinline__ unsigned spot(int row, int chunk) {
    return row * BYTES + ((chunk ^ (row & 7)) << 4);
}

__device__ __forceinline__ unsigned pack(float low, float high) {
    unsigned r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}

__device__ __forceinline__ float power2(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// Scores of a warp's 16 rows with TILES times eight positions from `first` on, as tensor cores leave them: in powers of two,
// -infinity from `to` on and from each row's end on. The largest of a lane's two rows so far, over the lanes that share them.
template <int TILES>
__device__ __forceinline__ void mask_scores(float (&score)[TILES][4], int first, int to, int lowVisible, int highVisible,
                                            float factor, float& largestLow, float& largestHigh) {
#pragma unroll
    for (int n = 0; n < TILES; n++) {
        int position = first + n * 8 + (int)(threadIdx.x % 4) * 2;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            bool inside = position + i < to;
            score[n][i] = inside && position + i < lowVisible ? score[n][i] * factor : -infinity();
            score[n][2 + i] = inside && position + i < highVisible ? score[n][2 + i] * factor : -infinity();
            largestLow = fmaxf(largestLow, score[n][i]);
            largestHigh = fmaxf(largestHigh, score[n][2 + i]);
        }
    }
    for (int step = 1; step < 4; step <<= 1) {
        largestLow = fmaxf(largestLow, __shfl_xor_sync(0xffffffffu, largestLow, step));
        largestHigh = fmaxf(largestHigh, __shfl_xor_sync(0xffffffffu, largestHigh, step));
    }
}

// Clusters: blocks that see each other's shared memory.
__device__ __forceinline__ unsigned cluster_rank() {
    unsigned r = 0;
#if __CUDA_ARCH__ >= 900
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(r));
#endif
    return r;
}

__device__ __forceinline__ void cluster_barrier() {
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
}

// The float at this shared address in another block of the cluster.
__device__ __forceinline__ float remote(unsigned address, unsigned rank) {
    float v = 0.f;
#if __CUDA_ARCH__ >= 900
    unsigned there;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(address), "r"(rank));
    asm volatile("ld.shared::cluster.f32 %0, [%1];" : "=f"(v) : "r"(there) : "memory");
#endif
    return v;
}

// Rows of experts: [first[e], first[e + 1]) belong to expert e, in tiles of at most `rows` (order_pairs in experts.cu says what
// tiles and order are).
struct Experts {
    const bf16* const* matrices;  // [experts]
    const bf16* const* second;    // [experts]; of the product with gates
    const int* first;
    const int* order;
    const int* tiles;
    bf16* result;                 // [pairs, resultStride]
    i64 resultStride;
    int experts;
    int rows;                     // of a tile at most
};

// The expert of tile blockIdx.z, its first row and how many there are; false behind the last tile.
__device__ __forceinline__ bool find_tile(const Experts& all, int& e, int& start, int& rows) {
    int tile = blockIdx.z;
    if (tile >= all.tiles[all.experts]) {
        return false;
    }
    int low = 0;
    int high = all.experts - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (all.tiles[middle] <= tile) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    // Experts without rows share their successor's tile number: the last of them is the one with rows.
    e = low;
    start = all.first[e] + (tile - all.tiles[e]) * all.rows;
    rows = min(all.rows, all.first[e + 1] - start);
    return true;
}
