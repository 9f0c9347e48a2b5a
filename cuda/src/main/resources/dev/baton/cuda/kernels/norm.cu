// Root-mean-square norms; a block a row. The residual stream is float whatever the activations are.

// out = x / sqrt(mean(x^2) + epsilon) * weight
template <class X, class O>
__device__ void rms_norm(const X* x, i64 xStride, const float* weight, float epsilon, O* out, i64 outStride, int n) {
    enter();
    i64 t = blockIdx.x;
    const X* row = x + t * xStride;
    float squares = 0.f;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        float v = widen(row[i]);
        squares += v * v;
    }
    float factor = rsqrtf(block_sum(squares) / n + epsilon);
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        out[t * outStride + i] = narrow<O>(widen(row[i]) * factor * weight[i]);
    }
}

// residual += x; out = norm(residual). out may be x: each thread reads its elements of x before it writes them.
template <class R, class A>
__device__ void add_rms_norm(R* residual, i64 residualStride, const A* x, i64 xStride, const float* weight,
                             float epsilon, A* out, i64 outStride, int n) {
    enter();
    i64 t = blockIdx.x;
    R* stream = residual + t * residualStride;
    float squares = 0.f;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        R v = narrow<R>(widen(stream[i]) + widen(x[t * xStride + i]));
        stream[i] = v;
        squares += widen(v) * widen(v);
    }
    float factor = rsqrtf(block_sum(squares) / n + epsilon);
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        out[t * outStride + i] = narrow<A>(widen(stream[i]) * factor * weight[i]);
    }
}

// The same, eight elements a thread and the whole row at once: n = 8 * blockDim.x at most, rows on 16-byte boundaries.
extern "C" __global__ void add_rms_norm_wide(float* residual, i64 rs, const bf16* x, i64 xs, const float* weight,
                                             bf16* out, i64 os, float epsilon, int n) {
    enter();
    i64 t = blockIdx.x;
    int i = threadIdx.x * 8;
    float v[8];
    float squares = 0.f;
    if (i < n) {
        float y[8];
        read8(v, residual + t * rs + i);
        read8(y, x + t * xs + i);
#pragma unroll
        for (int k = 0; k < 8; k++) {
            v[k] += y[k];
            squares += v[k] * v[k];
        }
        write8(residual + t * rs + i, v);
    }
    float factor = rsqrtf(block_sum(squares) / n + epsilon);
    if (i < n) {
        float w[8];
        read8(w, weight + i);
#pragma unroll
        for (int k = 0; k < 8; k++) {
            v[k] *= factor * w[k];
        }
        write8(out + t * os + i, v);
    }
}

#define NORM(X, O)                                                                                                     \
    extern "C" __global__ void rms_norm_##X##_##O(const X* x, i64 xs, const float* weight, O* out, i64 os,             \
                                                  float epsilon, int n) {                                              \
        rms_norm(x, xs, weight, epsilon, out, os, n);                                                                  \
    }
NORM(float, float)
NORM(float, bf16)
NORM(bf16, float)
NORM(bf16, bf16)

#define ADD_NORM(R, A)                                                                                                 \
    extern "C" __global__ void add_rms_norm_##R##_##A(R* residual, i64 rs, const A* x, i64 xs, const float* weight,    \
                                                      A* out, i64 os, float epsilon, int n) {                          \
        add_rms_norm(residual, rs, x, xs, weight, epsilon, out, os, n);                                                \
    }
ADD_NORM(float, float)
ADD_NORM(float, bf16)
ADD_NORM(bf16, bf16)
