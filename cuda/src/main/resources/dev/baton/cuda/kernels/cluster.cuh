// What blocks of a cluster send each other (compute capability 9.0; elsewhere none of this does anything). A block's barrier
// counts the bytes that have come: whoever waits for it needs no barrier of the whole cluster, and nobody has to stay for
// others to read from it. Source: PTX ISA, st.async, mbarrier, mapa.

// A shared address of this block in block `rank`.
__device__ __forceinline__ unsigned in_block(unsigned address, unsigned rank) {
    unsigned there = 0;
#if __CUDA_ARCH__ >= 900
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(address), "r"(rank));
#endif
    return there;
}

// Sixteen or eight bytes to an address of another block, counted by a barrier there.
__device__ __forceinline__ void send(unsigned to, unsigned barrier, float4 x) {
#if __CUDA_ARCH__ >= 900
    asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.f32 [%0], {%1, %2, %3, %4}, [%5];" ::"r"(to),
                 "f"(x.x), "f"(x.y), "f"(x.z), "f"(x.w), "r"(barrier)
                 : "memory");
#endif
}

__device__ __forceinline__ void send(unsigned to, unsigned barrier, float2 x) {
#if __CUDA_ARCH__ >= 900
    asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v2.f32 [%0], {%1, %2}, [%3];" ::"r"(to),
                 "f"(x.x), "f"(x.y), "r"(barrier)
                 : "memory");
#endif
}

// Sets up the barrier, by one thread; cluster_arrive and cluster_wait stand between this and what others send.
__device__ __forceinline__ void expect_bytes(unsigned barrier, unsigned bytes) {
#if __CUDA_ARCH__ >= 900
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;\nfence.mbarrier_init.release.cluster;" ::"r"(barrier) : "memory");
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
#endif
}

// Until they have come.
__device__ __forceinline__ void wait_bytes(unsigned barrier) {
#if __CUDA_ARCH__ >= 900
    unsigned done = 0;
    while (!done) {
        asm volatile(
            "{\n.reg .pred p;\nmbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], 0;\nselp.u32 %0, 1, 0, p;\n}"
            : "=r"(done)
            : "r"(barrier)
            : "memory");
    }
#endif
}

// cluster_barrier in two halves, every thread calls both.
__device__ __forceinline__ void cluster_arrive() {
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
#endif
}

__device__ __forceinline__ void cluster_wait() {
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
}

