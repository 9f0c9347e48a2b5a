// What only compute capability 9.0 has (architecture sm_90a): barriers in shared memory that count bytes, copies by the
// tensor memory accelerator (TMA), and products of a warp group (wgmma). A source that wants them includes this file.
// Source: PTX ISA, mbarrier, cp.async.bulk, wgmma, setmaxnreg.

typedef unsigned long long u64;

// 128 bytes that the driver has filled (cuTensorMapEncodeTiled); a kernel takes it as `const __grid_constant__ TensorMap`.
struct __align__(64) TensorMap {
    unsigned char bytes[128];
};

__device__ __forceinline__ unsigned shared_address(const void* p) { return (unsigned)__cvta_generic_to_shared(p); }

// Barriers: 8 bytes of shared memory each, given by their shared addresses. A phase ends when `arrivals` threads have arrived
// and all expected bytes have been written; phases have parities 0, 1, 0, ...
__device__ __forceinline__ void barrier_init(unsigned barrier, int arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

// Behind the inits, by the thread that made them; a __syncthreads (or cluster_barrier) follows.
__device__ __forceinline__ void barrier_init_done() {
    asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;" ::: "memory");
}

__device__ __forceinline__ void barrier_arrive(unsigned barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

// Arrives, and adds bytes that copies will write before the phase can end.
__device__ __forceinline__ void barrier_expect(unsigned barrier, unsigned bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

__device__ __forceinline__ bool barrier_passed(unsigned barrier, unsigned parity) {
    unsigned done;
    asm volatile(
        "{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
        : "=r"(done)
        : "r"(barrier), "r"(parity)
        : "memory");
    return done != 0;
}

// Until the phase of this parity has ended. With TRAP_HANGS, which is for development, a wait of seconds ends the kernel.
__device__ __forceinline__ void barrier_wait(unsigned barrier, unsigned parity) {
#ifdef TRAP_HANGS
    for (int i = 0; !barrier_passed(barrier, parity); i++) {
        if (i > (1 << 22)) {
            asm volatile("trap;");
        }
    }
#else
    while (!barrier_passed(barrier, parity)) {
    }
#endif
}

// How long what is read should stay in the L2 cache (createpolicy's encodings): a decode step reads weights once.
static const u64 READ_ONCE = 0x12f0000000000000ull;
static const u64 READ_AGAIN = 0x1000000000000000ull;

// Copies by one thread. Coordinates are elements, the first the one that is dense in memory; what lies outside the tensor
// arrives as zeros (and counts as bytes).
__device__ __forceinline__ void load_2d(unsigned to, const TensorMap& map, unsigned barrier, int x, int y, u64 keep) {
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.L2::cache_hint "
        "[%0], [%1, {%3, %4}], [%2], %5;" ::"r"(to), "l"(&map), "r"(barrier), "r"(x), "r"(y), "l"(keep)
        : "memory");
}

__device__ __forceinline__ void load_3d(unsigned to, const TensorMap& map, unsigned barrier, int x, int y, int z,
                                        u64 keep) {
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.L2::cache_hint "
        "[%0], [%1, {%3, %4, %5}], [%2], %6;" ::"r"(to), "l"(&map), "r"(barrier), "r"(x), "r"(y), "r"(z), "l"(keep)
        : "memory");
}

__device__ __forceinline__ void load_5d(unsigned to, const TensorMap& map, unsigned barrier, int x, int y, int z, int w,
                                        int v, u64 keep) {
    asm volatile(
        "cp.async.bulk.tensor.5d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.L2::cache_hint "
        "[%0], [%1, {%3, %4, %5, %6, %7}], [%2], %8;" ::"r"(to), "l"(&map), "r"(barrier), "r"(x), "r"(y), "r"(z), "r"(w),
        "r"(v), "l"(keep)
        : "memory");
}

// What this thread wrote to shared memory is seen by wgmma and by copies that follow (behind a barrier, of other threads).
__device__ __forceinline__ void fence_async() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// Registers of a thread of the warp group from here on: a multiple of 8. All its warps call it.
template <int COUNT> __device__ __forceinline__ void registers_more() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(COUNT));
}

template <int COUNT> __device__ __forceinline__ void registers_less() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(COUNT));
}

// A barrier of `threads` threads of the block; id 0 is __syncthreads's.
__device__ __forceinline__ void named_barrier(int id, int threads) {
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

__device__ __forceinline__ void named_arrive(int id, int threads) {
    asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// A matrix in shared memory for wgmma, 128-byte swizzle: atoms of 8 rows of 128 bytes on 1024-byte boundaries, 16-byte chunk c
// of row r at place c ^ r % 8, as TMA with CU_TENSOR_MAP_SWIZZLE_128B writes a box of 64 elements a row.
//
// K-major (rows of 64 k): `stride` is the distance of groups of 8 rows, usually 1024; `leading` is not used. The next 16 k are
// 32 bytes on.
// MN-major (rows are k, 64 elements of m or n each): `stride` is the distance of groups of 8 k, usually 1024, `leading` that of
// groups of 64 m or n. The next 16 k are 2 * stride on.
__device__ __forceinline__ u64 matrix(unsigned address, unsigned stride, unsigned leading) {
    return (u64)((address & 0x3ffff) >> 4) | (u64)((leading & 0x3ffff) >> 4) << 16 | (u64)((stride & 0x3ffff) >> 4) << 32
        | 1ull << 62;
}

// The matrix so many bytes further.
__device__ __forceinline__ u64 further(u64 matrix, unsigned bytes) { return matrix + (bytes >> 4); }

// Before the first product, and whenever registers of one have been touched since.
__device__ __forceinline__ void products_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void products_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int PENDING> __device__ __forceinline__ void products_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}

// Keeps the compiler from moving an accumulator across this place.
template <int N> __device__ __forceinline__ void pin(float (&d)[N]) {
#pragma unroll
    for (int i = 0; i < N; i++) {
        asm volatile("" : "+f"(d[i])::"memory");
    }
}

// d[64, N] (+)= a[64, 16] b[16, N] by a warp group, the array's size tells N = 2 size. Thread t holds of columns 8j + t % 4 * 2
// and + 1: d[4j], d[4j + 1] of row t / 32 * 16 + t % 32 / 4, d[4j + 2], d[4j + 3] of 8 rows further.
// `add`: whether d's former values count. B_MN: b is MN-major. a: in shared memory, K-major; or in registers, laid out like
// d's rows: a[0], a[1] of columns t % 4 * 2 and + 1 of the two rows, a[2], a[3] of 8 columns further.
#define ACC4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define ACC8(i) \
    "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]),      \
        "+f"(d[i + 7])
#define PLACES8 \
    "%0,%1,%2,%3,%4,%5,%6,%7"
#define PLACES16 \
    PLACES8 \
    ",%8,%9,%10,%11,%12,%13,%14,%15"
#define PLACES32 \
    PLACES16 \
    ",%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define PLACES64 \
    PLACES32 \
    ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47" \
    ",%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define PLACES84 \
    PLACES64 \
    ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79" \
    ",%80,%81,%82,%83"
#define PLACES112 \
    PLACES64 \
    ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79" \
    ",%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95" \
    ",%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111"
#define PLACES128 \
    PLACES112 \
    ",%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
#define ACC8_ALL ACC8(0)
#define ACC16_ALL ACC8_ALL, ACC8(8)
#define ACC32_ALL ACC16_ALL, ACC8(16), ACC8(24)
#define ACC64_ALL ACC32_ALL, ACC8(32), ACC8(40), ACC8(48), ACC8(56)
#define ACC84_ALL ACC64_ALL, ACC8(64), ACC8(72), ACC4(80)
#define ACC112_ALL ACC64_ALL, ACC8(64), ACC8(72), ACC8(80), ACC8(88), ACC8(96), ACC8(104)
#define ACC128_ALL ACC112_ALL, ACC8(112), ACC8(120)

#define WGMMA(N, SIZE, P0, P1, P2, P3, P4, P5, P6)                                                                     \
    template <int B_MN>                                                                                                \
    __device__ __forceinline__ void product(float (&d)[SIZE], u64 a, u64 b, int add) {                                 \
        asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " P2 ", 0;\n"                                                   \
                     "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32.bf16.bf16 {" PLACES##SIZE "}, " P0 ", " P1        \
                     ", p, 1, 1, 0, " P3 ";\n}"                                                                        \
                     : ACC##SIZE##_ALL                                                                                 \
                     : "l"(a), "l"(b), "r"(add), "n"(B_MN));                                                           \
    }                                                                                                                  \
    template <int B_MN>                                                                                                \
    __device__ __forceinline__ void product(float (&d)[SIZE], const unsigned (&a)[4], u64 b, int add) {                \
        asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " P5 ", 0;\n"                                                   \
                     "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32.bf16.bf16 {" PLACES##SIZE "}, {" P0 ", " P1       \
                     ", " P2 ", " P3 "}, " P4 ", p, 1, 1, " P6 ";\n}"                                                  \
                     : ACC##SIZE##_ALL                                                                                 \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add), "n"(B_MN));                       \
    }
WGMMA(32, 16, "%16", "%17", "%18", "%19", "%20", "%21", "%22")
WGMMA(64, 32, "%32", "%33", "%34", "%35", "%36", "%37", "%38")
WGMMA(128, 64, "%64", "%65", "%66", "%67", "%68", "%69", "%70")
WGMMA(168, 84, "%84", "%85", "%86", "%87", "%88", "%89", "%90")
WGMMA(224, 112, "%112", "%113", "%114", "%115", "%116", "%117", "%118")
WGMMA(256, 128, "%128", "%129", "%130", "%131", "%132", "%133", "%134")
