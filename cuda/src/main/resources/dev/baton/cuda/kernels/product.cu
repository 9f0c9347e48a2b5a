// out[t, n] = sum over k of x[t, k] * w[n, k] + bias[n] for a few tokens: every weight is read once, a warp a row of w.
// k is a multiple of 8, rows of x and w begin on 16-byte boundaries.

__device__ __forceinline__ void dot8(float& sum, const uint4& w, const uint4& x) {
    const unsigned a[4] = {w.x, w.y, w.z, w.w};
    const unsigned b[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        sum += __uint_as_float(a[i] << 16) * __uint_as_float(b[i] << 16);
        sum += __uint_as_float(a[i] & 0xffff0000u) * __uint_as_float(b[i] & 0xffff0000u);
    }
}

// Weights stream past the caches' kept lines: they are not read again in this step.
__device__ __forceinline__ uint4 stream(const bf16* p) {
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(p));
    return v;
}

template <int TOKENS, class O>
__device__ void few(const bf16* x, i64 xStride, const bf16* w, i64 wStride, const O* bias, O* out, i64 outStride, int n,
                    int k) {
    const int DEEP = 4;  // loads of a lane under way at once
    int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    int lane = threadIdx.x % 32;
    if (row >= n) {
        return;
    }
    const bf16* own = w + row * wStride;
    float sum[TOKENS];
#pragma unroll
    for (int t = 0; t < TOKENS; t++) {
        sum[t] = 0.f;
    }
    int at = lane * 8;
    for (; at + (DEEP - 1) * 256 < k; at += DEEP * 256) {
        uint4 a[DEEP];
#pragma unroll
        for (int d = 0; d < DEEP; d++) {
            a[d] = stream(own + at + d * 256);
        }
#pragma unroll
        for (int d = 0; d < DEEP; d++) {
#pragma unroll
            for (int t = 0; t < TOKENS; t++) {
                dot8(sum[t], a[d], *(const uint4*)(x + t * xStride + at + d * 256));
            }
        }
    }
    for (; at < k; at += 256) {
        uint4 a = stream(own + at);
#pragma unroll
        for (int t = 0; t < TOKENS; t++) {
            dot8(sum[t], a, *(const uint4*)(x + t * xStride + at));
        }
    }
#pragma unroll
    for (int t = 0; t < TOKENS; t++) {
        float total = warp_sum(sum[t]);
        if (lane == 0) {
            out[t * outStride + row] = narrow<O>(total + (bias ? widen(bias[row]) : 0.f));
        }
    }
}

#define FEW(TOKENS, O)                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256) few_##TOKENS##_##O(                                             \
        const bf16* x, i64 xs, const bf16* w, i64 ws, const O* bias, O* out, i64 os, int n, int k) {                   \
        few<TOKENS, O>(x, xs, w, ws, bias, out, os, n, k);                                                             \
    }
FEW(1, float)
FEW(2, float)
FEW(3, float)
FEW(4, float)
FEW(1, bf16)
FEW(2, bf16)
FEW(3, bf16)
FEW(4, bf16)
